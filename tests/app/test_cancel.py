"""Cancelling: whatever was stored first wins."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from actors import StopReason, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import TaskCancelled, TaskNotFound
from actors.testing import run_until_idle
from tests.app.world import HOUR, collect, refused


async def test_a_waiting_task_is_cancelled_and_never_runs(app: TaskSystem, autojump_clock: MockClock) -> None:
    ran = []

    @app.task
    async def work() -> None:
        ran.append(True)

    async with app.running():
        ticket = await work.options(delay=HOUR).submit()
        assert await ticket.cancel() is True
        with refused(TaskCancelled, ticket.task_id, "'work'", "cancelled"):
            await ticket.result()
        await trio.sleep(2 * HOUR)
        assert (await ticket.wait()).status is TaskStatus.CANCELLED
    assert ran == []


async def test_a_running_task_gets_the_soft_stage_and_then_ends_cancelled(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    seen: list[StopReason | None] = []
    started = trio.Event()

    @app.task
    async def polite(ctx: TaskContext) -> str:
        started.set()
        with ctx.until_stopping():
            await trio.sleep_forever()
        seen.append(ctx.stopping)
        await trio.sleep(5)
        seen.append(None)
        return "cleaned up"

    async with app.running(), app.events() as events:
        ticket = await polite.submit()
        await started.wait()
        assert await ticket.cancel() is True
        with pytest.raises(TaskCancelled):
            await ticket.result()
        await collect(events, TaskEventType.CANCELLED)
        assert app.metrics().running_tasks == 0
    assert seen == [StopReason.CANCEL, None]


async def test_a_running_task_that_goes_on_is_stopped_after_the_grace_time(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    started = trio.Event()

    @app.task(timeout=None)
    async def deaf(ctx: TaskContext) -> None:
        started.set()
        await trio.sleep_forever()

    async with app.running():
        ticket = await deaf.submit()
        await started.wait()
        before = trio.current_time()
        await ticket.cancel()
        with trio.fail_after(HOUR):
            assert (await ticket.wait()).status is TaskStatus.CANCELLED
        assert 10 <= trio.current_time() - before <= 10 + 5


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_a_cancel_in_whatever_moment_of_the_start_is_not_lost(
    app: TaskSystem, steps: int, autojump_clock: MockClock
) -> None:
    @app.task(timeout=None)
    async def deaf(ctx: TaskContext) -> None:
        await trio.sleep_forever()

    async with app.running(), app.events(types=[TaskEventType.STARTED]) as started:
        tickets = [await deaf.submit() for _ in range(10)]
        for ticket in tickets:
            await started.receive()
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            assert await ticket.cancel()
        await run_until_idle(app)
        assert await app.count(status=TaskStatus.CANCELLED) == 10


async def test_a_running_task_that_ignores_even_that_is_recorded_without_it(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    release = trio.Event()

    @app.task(timeout=None)
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with app.running(), app.events() as events:
        ticket = await stubborn.submit()
        await collect(events, TaskEventType.STARTED)
        assert await ticket.cancel() is True
        with trio.fail_after(HOUR):
            assert (await ticket.wait()).status is TaskStatus.CANCELLED
        release.set()


async def test_a_task_that_waits_for_its_retry_is_cancelled(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def fail() -> None:
        raise ValueError

    async with app.running(), app.events() as events:
        ticket = await fail.submit()
        await collect(events, TaskEventType.RETRY_SCHEDULED)
        assert await ticket.cancel() is True
        assert (await ticket.wait()).attempt == 1


async def test_an_ended_task_stays_as_it_is(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def work() -> str:
        return "done"

    async with app.running():
        ticket = await work.submit()
        await ticket.wait()
        assert await ticket.cancel() is False
        assert await ticket.result() == "done"


async def test_a_second_cancel_says_whether_the_task_had_ended(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def work() -> None: ...

    async with app.running():
        ticket = await work.options(delay=HOUR).submit()
        assert [await ticket.cancel(), await ticket.cancel()] == [True, False]


async def test_an_unknown_task_cannot_be_cancelled(app: TaskSystem, autojump_clock: MockClock) -> None:
    unknown = str(uuid.uuid4())
    async with app.running():
        with refused(TaskNotFound, unknown):
            await app.cancel(unknown)


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancel_that_races_the_completion_agrees_with_the_status(
    app: TaskSystem, cancel_first: bool, autojump_clock: MockClock
) -> None:
    gates: dict[int, trio.Event] = {number: trio.Event() for number in range(40)}
    seen: Counter[tuple[bool, TaskStatus]] = Counter()

    @app.task
    async def work(number: int) -> int:
        await gates[number].wait()
        return number

    async def race(number: int) -> None:
        ticket = await work.submit(number)
        for _ in range(number):
            await trio.lowlevel.checkpoint()
        if cancel_first:
            taken = await ticket.cancel()
            gates[number].set()
        else:
            gates[number].set()
            for _ in range(number % 20):
                await trio.lowlevel.checkpoint()
            taken = await ticket.cancel()
        ended = await ticket.wait()
        seen[taken, ended.status] += 1
        if ended.status is TaskStatus.CANCELLED:
            with pytest.raises(TaskCancelled):
                await ticket.result()
        else:
            assert await ticket.result() == number
        assert (await app.get(ticket.task_id)) == ended

    async with app.running():
        async with trio.open_nursery() as nursery:
            for number in gates:
                nursery.start_soon(race, number)
        assert app.metrics().running_tasks == 0
    if cancel_first:
        assert set(seen) == {(True, TaskStatus.CANCELLED)}
    else:
        assert seen[False, TaskStatus.CANCELLED] == 0
        assert seen[False, TaskStatus.COMPLETED] > 0, "some completions won"
    assert seen.total() == 40

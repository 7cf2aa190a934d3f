"""The stop contract for coroutines: the soft stage, the hard stage, and those that ignore both."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

import actors
from actors import StopReason, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import TaskTimedOut
from tests.app.world import DAY, HOUR, collect, drained, refused


async def test_the_soft_stage_tells_the_handler_which_may_still_finish(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(soft_timeout=10, timeout=60, max_retries=0)
    async def polite(ctx: TaskContext) -> str:
        assert ctx.stopping is None
        await trio.sleep(10.5)
        return str(ctx.stopping)

    async with app.running(), app.events() as events:
        ticket = await polite.submit()
        assert await ticket.result() == str(StopReason.SOFT_TIMEOUT)
        told = await collect(events, TaskEventType.COMPLETED)
    assert [event.type for event in told] == [
        TaskEventType.SUBMITTED, TaskEventType.STARTED, TaskEventType.SOFT_TIMEOUT, TaskEventType.COMPLETED
    ]  # fmt: skip


async def test_until_stopping_ends_at_the_soft_stage_and_what_follows_cleans_up(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    moments = []

    @app.task(soft_timeout=10, timeout=60)
    async def tidy(ctx: TaskContext) -> str:
        begin = trio.current_time()
        with ctx.until_stopping() as scope:
            await trio.sleep_forever()
        moments.append(trio.current_time() - begin)
        await trio.sleep(20)
        moments.append(trio.current_time() - begin)
        return "cleaned up" if scope.cancelled_caught else "never stopped"

    async with app.running():
        assert await (await tidy.submit()).result() == "cleaned up"
    assert moments == pytest.approx([10, 30], abs=0.1)


async def test_a_scope_that_is_entered_after_the_soft_stage_is_cancelled_at_once(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(soft_timeout=10, timeout=60)
    async def late(ctx: TaskContext) -> float:
        await trio.sleep(20)
        begin = trio.current_time()
        with ctx.until_stopping():
            await trio.sleep_forever()
        return trio.current_time() - begin

    async with app.running():
        assert await (await late.submit()).result() == 0


async def test_the_hard_stage_cancels_the_coroutine_and_its_children(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    cleaned = []

    @app.task(timeout=30, max_retries=0)
    async def family() -> None:
        async def child() -> None:
            try:
                await trio.sleep_forever()
            finally:
                cleaned.append(True)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(child)

    async with app.running():
        ticket = await family.submit()
        before = trio.current_time()
        with refused(TaskTimedOut, ticket.task_id, "'family'", "30 s"):
            await ticket.result()
        assert trio.current_time() - before == pytest.approx(30, abs=0.5)
        assert cleaned == [True] * 3
        ended = await ticket.wait()
        assert ended.status is TaskStatus.TIMEOUT
        assert [row.outcome for row in await app.attempts(ticket.task_id)] == ["timed_out"]


async def test_the_time_in_the_queue_does_not_count(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=30, max_retries=0, lane="single")
    async def work() -> None:
        await trio.sleep(20)

    async with app.running():
        tickets = await app.submit_many([work.request() for _ in range(5)])
        assert [(await ticket.wait()).status for ticket in tickets] == [TaskStatus.COMPLETED] * 5


async def test_the_submits_limit_wins(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=30, max_retries=0)
    async def work() -> None:
        await trio.sleep(HOUR)

    async with app.running():
        assert (await (await work.options(timeout=2 * HOUR).submit()).wait()).status is TaskStatus.COMPLETED
        assert (await (await work.options(timeout=None).submit()).wait()).status is TaskStatus.COMPLETED
        assert (await (await work.submit()).wait()).status is TaskStatus.TIMEOUT


async def test_the_context_knows_its_deadlines(app: TaskSystem, autojump_clock: MockClock) -> None:
    seen: list[timedelta | None] = []

    @app.task(timeout=30, soft_timeout=20)
    async def look(ctx: TaskContext) -> None:
        assert ctx.deadline is not None
        assert ctx.soft_deadline is not None
        seen.append(ctx.deadline - ctx.soft_deadline)

    @app.task(timeout=None)
    async def endless() -> None:
        assert actors.current().deadline is None
        assert actors.current().soft_deadline is None

    async with app.running():
        await (await look.submit()).result()
        await (await endless.submit()).result()
    assert seen == [timedelta(seconds=10)]


async def test_a_coroutine_that_ignores_cancellation_is_recorded_and_fenced_and_its_slot_is_whole_again(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    release = trio.Event()
    over = trio.Event()

    @app.task(timeout=30, max_retries=0, lane="single")
    async def stubborn() -> str:
        with trio.CancelScope(shield=True):
            await release.wait()
        over.set()
        return "too late"

    @app.task(lane="single")
    async def next_one() -> str:
        return "ran"

    async with app.running(), app.events() as events:
        ticket = await stubborn.submit()
        waiting = await next_one.submit()
        ended = await ticket.wait()
        assert ended.status is TaskStatus.TIMEOUT
        assert ended.completed_at is not None
        assert ended.started_at is not None
        assert 30 <= (ended.completed_at - ended.started_at).total_seconds() < 35
        assert await waiting.result() == "ran"
        told = await collect(events, TaskEventType.COMPLETED)
        assert TaskEventType.STUCK in [event.type for event in told]
        assert app.metrics().lanes["single"].stuck == 1
        release.set()
        await over.wait()
        await trio.sleep(1)
        assert await ticket.wait() == ended, "the late result changes nothing"
        lane = app.metrics().lanes["single"]
        assert (lane.stuck, lane.running, lane.free) == (0, 0, 1)
        assert TaskEventType.COMPLETED not in [event.type for event in drained(events)]


async def test_a_swallowed_cancellation_still_ends_as_a_timeout(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=30, max_retries=0)
    async def swallow() -> str:
        try:
            await trio.sleep_forever()
        finally:
            return "swallowed"  # noqa: B012  # the fault that this test is about

    async with app.running():
        ended = await (await swallow.submit()).wait()
        assert ended.status in (TaskStatus.TIMEOUT, TaskStatus.COMPLETED)
        assert app.metrics().running_tasks == 0


async def test_an_error_on_the_way_out_of_a_timeout_is_a_timeout(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=30, max_retries=0)
    async def clumsy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    async with app.running():
        assert (await (await clumsy.submit()).wait()).status is TaskStatus.TIMEOUT


async def test_an_attempt_that_was_left_behind_does_not_touch_the_next_one(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    release = trio.Event()

    @app.task(timeout=30, max_retries=1)
    async def stubborn_once(ctx: TaskContext) -> str:
        if ctx.attempt == 1:
            with trio.CancelScope(shield=True):
                await release.wait()
            return "the first"
        release.set()
        await trio.sleep(10)
        return "the second"

    async with app.running():
        ticket = await stubborn_once.submit()
        assert await ticket.result() == "the second"
        await trio.sleep(DAY / 24)
        ended = await ticket.wait()
        assert (ended.result_data, ended.attempt, ended.retry_count) == ("the second", 2, 1)

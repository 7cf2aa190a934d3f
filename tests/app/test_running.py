"""Starting, stopping, and what leaves the block."""

from __future__ import annotations

import threading
import uuid
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import Settings, StopReason, TaskContext, TaskEventType, TaskRequest, TaskStatus, TaskSystem
from actors.errors import (
    ActorsError,
    InvalidOption,
    NotRunning,
)
from tests.app.world import HOUR, echo, file_exists, refused
from tests.waiting import until


class OurError(Exception):
    """What a user's block may raise."""


@pytest.mark.parametrize(
    "error",
    [OurError("mine"), ExceptionGroup("mine", [OurError("a"), OurError("b")]), SystemExit(3), KeyboardInterrupt()],
    ids=["error", "group", "exit", "interrupt"],
)
async def test_the_blocks_exception_leaves_as_it_is(
    app: TaskSystem, error: BaseException, autojump_clock: MockClock
) -> None:
    with pytest.raises(type(error)) as caught:
        async with app.running():
            raise error
    assert caught.value is error


async def test_a_cancelled_block_stops_in_order(app: TaskSystem, autojump_clock: MockClock) -> None:
    told = []
    app.on_event(lambda event: told.append(event.type))

    @app.task
    async def work() -> None:
        started.set()
        await trio.sleep_forever()

    started = trio.Event()
    with trio.CancelScope() as scope:
        async with app.running():
            await work.submit()
            await started.wait()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert told[-1] is TaskEventType.RETURNED


async def test_without_running_everything_says_what_to_do(app: TaskSystem) -> None:
    declared = app.task(echo)
    ticket = app.ticket(str(uuid.uuid4()))
    asks: list[Any] = [
        declared.submit, lambda: app.submit(TaskRequest("echo")), lambda: app.submit_many([declared.request()]),
        lambda: app.get(ticket.task_id), app.list, app.count, app.statistics, app.cleanup,
        lambda: app.cancel(ticket.task_id), lambda: app.pause(task_type="echo"), lambda: app.attempts(ticket.task_id),
        ticket.result, ticket.wait, ticket.status, ticket.cancel,
    ]  # fmt: skip
    for ask in asks:
        with refused(NotRunning, "not running", "app.running()"):
            await ask()
    for look in (app.metrics, app.tree, app.requests, app.stop):
        with refused(NotRunning, "not running", "app.running()"):
            look()
    with refused(NotRunning, "not running"):
        async with app.events():
            pytest.fail("there are no events")


async def test_after_the_block_it_is_not_running_and_may_run_again(file_url: str) -> None:
    app = TaskSystem(file_url)
    declared = app.task(echo)
    async with app.running():
        ticket = await declared.submit("first")
    with refused(NotRunning, "not running"):
        await declared.submit("between")
    async with app.running():
        assert await ticket.result() == "first"


async def test_one_system_does_not_run_twice(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    async with app.running():
        with pytest.raises(ActorsError):
            async with app.running():
                pytest.fail("it runs twice")
        assert await (await declared.submit("still")).result() == "still"


@pytest.mark.parametrize("url", ["memory", "file"])
async def test_of_two_that_enter_at_once_one_runs(app: TaskSystem, file_url: str, url: str) -> None:
    entered, refusals = list[TaskSystem](), list[str]()
    both = trio.Event()

    async def enter() -> None:
        try:
            async with app.running(database_url=file_url if url == "file" else None) as running:
                entered.append(running)
                await both.wait()
        except InvalidOption as refusal:
            refusals.append(str(refusal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        nursery.start_soon(enter)
        await until(lambda: len(entered) + len(refusals) == 2)
        both.set()
    assert entered == [app]
    assert refusals == ["this task system runs already; one TaskSystem is one node"]
    async with app.running():
        pass  # it may run again


async def test_a_start_that_fails_may_be_tried_again(app: TaskSystem) -> None:
    with pytest.raises(InvalidOption):
        async with app.running(database_url="no url"):
            pytest.fail("it runs")
    async with app.running():
        pass


async def test_another_url_serves_tests(file_url: str, autojump_clock: MockClock) -> None:
    app = TaskSystem(file_url)
    declared = app.task(echo)
    async with app.running(database_url="sqlite:///:memory:"):
        assert await (await declared.submit("x")).result() == "x"
    assert not file_exists(file_url)


async def test_serve_runs_until_stop(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    with trio.fail_after(HOUR):
        async with trio.open_nursery() as nursery:
            await nursery.start(app.serve)
            assert await (await declared.submit("served")).result() == "served"
            app.stop()
    with refused(NotRunning, "not running"):
        app.metrics()


async def test_stop_takes_a_grace_time(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=None)
    async def endless(ctx: TaskContext) -> None:
        started.set()
        await trio.sleep_forever()

    started = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(app.serve)
        await endless.submit()
        await started.wait()
        before = trio.current_time()
        app.stop(grace=3)
    assert trio.current_time() - before <= 3 + 5


async def test_stop_ends_serve_only(app: TaskSystem, autojump_clock: MockClock) -> None:
    async with app.running():
        with refused(NotRunning, "serve"):
            app.stop()


@pytest.mark.parametrize("grace", [-1, "soon"])
async def test_a_grace_time_that_cannot_be_is_refused(app: TaskSystem, grace: Any, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(app.serve)
        with refused(InvalidOption, "grace", repr(grace)):
            app.stop(grace=grace)
        app.stop()


async def test_a_shutdown_lets_what_runs_finish_within_the_grace_time(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    told = []
    app.on_event(lambda event: told.append(event.type))

    @app.task
    async def short(ctx: TaskContext) -> str:
        started.set()
        await trio.sleep(8)
        return str(ctx.stopping)

    started = trio.Event()
    async with app.running():
        await short.submit()
        await started.wait()
        before = trio.current_time()
    assert 7 <= trio.current_time() - before <= 9
    assert told[-1] is TaskEventType.COMPLETED


async def test_a_shutdown_gives_the_soft_stage_and_returns_what_was_cut_short(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    told = []
    reasons: list[StopReason | None] = []
    app.on_event(lambda event: told.append(event.type))

    @app.task
    async def tidy(ctx: TaskContext) -> None:
        started.set()
        with ctx.until_stopping():
            await trio.sleep_forever()
        reasons.append(ctx.stopping)

    started = trio.Event()
    async with app.running():
        await tidy.submit()
        await started.wait()
        before = trio.current_time()
    assert trio.current_time() - before < 2
    assert reasons == [StopReason.SHUTDOWN]
    assert told[-1] is TaskEventType.RETURNED


async def test_what_ignores_the_soft_stage_is_cancelled_after_the_grace_time(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    told = []
    app.on_event(lambda event: told.append(event.type))

    @app.task(timeout=None)
    async def deaf(ctx: TaskContext) -> None:
        started.set()
        await trio.sleep_forever()

    started = trio.Event()
    async with app.running():
        await deaf.submit()
        await started.wait()
        before = trio.current_time()
    assert 10 <= trio.current_time() - before <= 10 + 5
    assert told[-1] is TaskEventType.RETURNED


async def test_leaving_takes_at_most_the_grace_time_and_five_seconds_whatever_runs(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    told = []
    app.on_event(lambda event: told.append(event.type))
    release = trio.Event()

    @app.task(timeout=None)
    async def stubborn() -> None:
        started.set()
        with trio.CancelScope(shield=True):
            await release.wait()

    started = trio.Event()

    async def free_in_the_end() -> None:
        await trio.sleep(2 * HOUR)
        release.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(free_in_the_end)
        async with app.running():
            await stubborn.submit()
            await started.wait()
            before = trio.current_time()
        took = trio.current_time() - before
        release.set()  # nothing can end it from outside, and it would outlive the test
        nursery.cancel_scope.cancel()
    assert took <= 10 + 5
    assert TaskEventType.RETURNED in told


async def test_a_thread_that_does_not_stop_holds_up_nobody(file_url: str) -> None:
    app = TaskSystem(file_url, settings=Settings(grace_seconds=0.1))
    told = []
    app.on_event(lambda event: told.append(event.type))

    @app.task(timeout=None)
    def stubborn() -> None:
        started.set()
        release.wait()

    started, release = threading.Event(), threading.Event()
    try:
        with trio.fail_after(0.1 + 5):
            async with app.running():
                ticket = await stubborn.submit()
                await trio.to_thread.run_sync(started.wait)
        async with app.running(work=False):
            stored = await app.get(ticket.task_id)
        assert stored is not None
        assert (stored.status, stored.retry_count) == (TaskStatus.PENDING, 0)
        assert TaskEventType.RETURNED in told
    finally:
        release.set()


async def test_a_shutdown_returns_running_tasks_and_burns_nothing(file_url: str) -> None:
    app = TaskSystem(file_url, settings=Settings(grace_seconds=0.1))

    @app.task(timeout=None, max_retries=0)
    async def work(ctx: TaskContext) -> int:
        started.set()
        if ctx.attempt == 1:
            await trio.sleep_forever()
        return ctx.attempt

    started = trio.Event()
    with trio.fail_after(10):
        async with app.running():
            ticket = await work.submit()
            await started.wait()
        async with app.running(work=False):
            task = await ticket.status()
            stored = await app.get(ticket.task_id)
            assert task is TaskStatus.PENDING
            assert stored is not None
            assert (stored.retry_count, stored.crash_count, stored.attempt) == (0, 0, 1)
            assert [row.outcome for row in await app.attempts(ticket.task_id)] == ["returned"]
        async with app.running():
            assert await ticket.result() == 2


async def test_serve_takes_another_url(app: TaskSystem, file_url: str) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(app.serve, database_url=file_url))
        app.stop()
    assert file_exists(file_url)

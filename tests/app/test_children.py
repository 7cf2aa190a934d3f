"""What a handler submits: stored with its attempt's outcome, or not at all."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import (
    Abort,
    Retry,
    Settings,
    Snooze,
    TaskContext,
    TaskEventType,
    TaskRequest,
    TaskStatus,
    TaskSystem,
    current,
)
from actors.errors import InvalidOption, InvalidPayload, NotRunning, PayloadTooLarge, UnknownTaskType
from tests.app.world import HOUR, collect, refused


@pytest.fixture
def grown() -> list[int]:
    """The numbers of the children that ran."""
    return []


@pytest.fixture
def app(app: TaskSystem, grown: list[int]) -> TaskSystem:
    """With a type for children."""

    @app.task
    async def child(number: int) -> None:
        grown.append(number)

    return app


def child(number: int = 1, **wishes: Any) -> TaskRequest:
    return TaskRequest("child", {"number": number}, **wishes)


async def test_the_children_of_a_handler_that_returns_are_stored_with_its_outcome(
    app: TaskSystem, grown: list[int], autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> list[str]:
        ids = [ctx.submit(child(number)) for number in range(3)]
        await trio.sleep(1)
        assert await app.count(task_type="child") == 0
        return ids

    async with app.running():
        ids = await (await parent.submit()).result()
        assert await app.count(task_type="child") == 3
        assert [(await app.ticket(task_id).wait()).status for task_id in ids] == [TaskStatus.COMPLETED] * 3
    assert sorted(grown) == [0, 1, 2]


async def test_a_thread_submits_children_in_the_same_way(app: TaskSystem, grown: list[int]) -> None:
    @app.task
    def parent(ctx: TaskContext) -> list[str]:
        return [ctx.submit(child(1)), current().submit(child(2))]

    async with app.running():
        for task_id in await (await parent.submit()).result():
            await app.ticket(task_id).wait()
    assert sorted(grown) == [1, 2]


async def test_a_declared_tasks_requests_and_options_make_children_from_a_thread_too(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def later(text: str) -> str:
        return text

    @app.task
    def parent(ctx: TaskContext) -> str:
        return ctx.submit(later.options(delay=HOUR, priority=20, key="k").request("x"))

    async with app.running():
        before = trio.current_time()
        autojump_clock.autojump_threshold = math.inf  # it does not know of threads, and would jump past their work
        ticket = app.ticket(await (await parent.submit()).result())
        autojump_clock.autojump_threshold = 0
        ended = await ticket.wait()
        assert HOUR - 1 < trio.current_time() - before < HOUR + 60
    assert (ended.result_data, ended.priority, ended.key) == ("x", 20, "k")


@pytest.mark.parametrize(
    "error", [ValueError("no"), Abort("no"), Retry(after=HOUR), Snooze(HOUR)], ids=lambda error: type(error).__name__
)
async def test_a_handler_that_raises_has_no_children(
    error: Exception, app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=1)
    async def parent(ctx: TaskContext) -> None:
        ctx.submit(child())
        raise error

    async with app.running():
        ticket = await parent.submit()
        await trio.sleep(HOUR / 2)
        assert await ticket.status() is not TaskStatus.RUNNING
        assert await app.count(task_type="child") == 0


async def test_a_result_that_cannot_be_stored_takes_the_children_with_it(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> Any:
        ctx.submit(child())
        return object()

    async with app.running():
        assert (await (await parent.submit()).wait()).status is TaskStatus.FAILED
        assert await app.count(task_type="child") == 0


async def test_each_attempt_has_children_of_its_own(
    app: TaskSystem, grown: list[int], autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> str:
        task_id = ctx.submit(child(ctx.attempt))
        if ctx.attempt < 3:
            raise ValueError
        return task_id

    async with app.running():
        await app.ticket(await (await parent.submit()).result()).wait()
        assert await app.count(task_type="child") == 1
    assert grown == [3]


async def test_an_attempt_that_runs_out_of_time_has_no_children(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=5, max_retries=0)
    async def parent(ctx: TaskContext) -> None:
        ctx.submit(child())
        await trio.sleep_forever()

    async with app.running():
        assert (await (await parent.submit()).wait()).status is TaskStatus.TIMEOUT
        assert await app.count(task_type="child") == 0


async def test_a_cancelled_task_has_no_children_even_if_its_handler_returns(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> None:
        ctx.submit(child())
        with ctx.until_stopping():
            await trio.sleep_forever()

    async with app.running():
        ticket = await parent.submit()
        await trio.sleep(1)
        assert await ticket.cancel()
        assert (await ticket.wait()).status is TaskStatus.CANCELLED
        assert await app.count(task_type="child") == 0


async def test_an_attempt_that_a_shutdown_gives_back_has_no_children(
    app: TaskSystem, file_url: str, grown: list[int]
) -> None:
    started = trio.Event()

    @app.task
    async def parent(ctx: TaskContext) -> None:
        ctx.submit(child(ctx.attempt))
        started.set()
        if ctx.attempt == 1:
            with ctx.until_stopping():
                await trio.sleep_forever()

    async with app.running(database_url=file_url):
        ticket = await parent.submit()
        await started.wait()
    async with app.running(database_url=file_url):
        await app.ticket(ticket.task_id).wait()
        (only,) = await app.list(task_type="child")
        await app.ticket(only.task_id).wait()
    assert grown == [2]


async def test_what_is_wrong_with_a_child_is_raised_at_the_call(
    app: TaskSystem, settings: Settings, autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> None:
        with refused(UnknownTaskType, "'chidl'", "did you mean 'child'?"):
            ctx.submit(TaskRequest("chidl"))
        with refused(InvalidPayload, "'number'", '"1" (str)', "int"):
            ctx.submit(TaskRequest("child", {"number": "1"}))
        with refused(InvalidOption, "priority", "101"):
            ctx.submit(child(priority=101))
        with refused(InvalidOption, "TaskRequest"):
            ctx.submit("child")  # type: ignore[arg-type]
        with refused(PayloadTooLarge, "'big'", "TASK_MAX_PAYLOAD_BYTES"):
            ctx.submit(TaskRequest("big", {"text": "x" * settings.max_payload_bytes}))

    @app.task
    async def big(text: str) -> None: ...

    async with app.running():
        await (await parent.submit()).result()
        assert await app.count() == 1


async def test_a_child_counts_and_is_told_like_any_task(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> str:
        return ctx.submit(child())

    async with app.running(), app.events(task_type="child") as events:
        task_id = await (await parent.submit()).result()
        told = await collect(events, TaskEventType.COMPLETED)
        statistics = await app.statistics()
    assert [event.type for event in told] == [
        TaskEventType.SUBMITTED, TaskEventType.STARTED, TaskEventType.COMPLETED,
    ]  # fmt: skip
    assert {event.task_id for event in told} == {task_id}
    assert statistics.by_status["completed"] == statistics.by_type["child"] + 1 == 2


async def test_a_child_starts_at_once_while_its_parents_lane_is_full(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(lane="single")
    async def parent(ctx: TaskContext, generations: int) -> str | None:
        await trio.sleep(1)
        return ctx.submit(parent.request(generations - 1)) if generations else None

    async with app.running():
        before = trio.current_time()
        task_id: str | None = (await parent.submit(20)).task_id
        while task_id is not None:
            task_id = await app.ticket(task_id).result()
        assert trio.current_time() - before < 21.5


async def test_a_child_with_a_living_key_is_the_task_that_lives(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> None:
        ctx.submit(child(1, key="k"))
        ctx.submit(child(2, key="k"))

    async with app.running():
        await app.submit(child(0, key="k", run_at=datetime.fromtimestamp(app.wall() + HOUR, UTC)))
        await (await parent.submit()).result()
        assert [task.input_data for task in await app.list(task_type="child")] == [{"number": 0}]


async def test_who_submits_after_its_attempt_has_ended_hears_of_it(app: TaskSystem, autojump_clock: MockClock) -> None:
    kept: list[TaskContext] = []

    @app.task
    async def parent(ctx: TaskContext) -> None:
        kept.append(ctx)

    async with app.running():
        await (await parent.submit()).result()
        with refused(NotRunning, "'parent'", "has ended", "app.submit"):
            kept[0].submit(child())
        assert await app.count(task_type="child") == 0


async def test_a_thread_that_was_left_behind_has_no_children(app: TaskSystem) -> None:
    go, gone = threading.Event(), threading.Event()
    faults: list[Exception] = []

    @app.task(timeout=0.05, max_retries=0)
    def parent(ctx: TaskContext) -> None:
        go.wait(20)
        try:
            ctx.submit(child())
        except NotRunning as error:
            faults.append(error)
        gone.set()

    async with app.running():
        assert (await (await parent.submit()).wait()).status is TaskStatus.TIMEOUT
        go.set()
        await trio.to_thread.run_sync(gone.wait)
        assert await app.count(task_type="child") == 0
    assert len(faults) == 1


@pytest.mark.parametrize("count", [1, 7, 300])
async def test_a_family_of_any_size_is_stored_whole(
    count: int, app: TaskSystem, grown: list[int], autojump_clock: MockClock
) -> None:
    @app.task
    async def parent(ctx: TaskContext) -> None:
        for number in range(count):
            ctx.submit(child(number))

    finished: Callable[[], bool] = lambda: len(grown) == count  # noqa: E731
    async with app.running():
        await (await parent.submit()).result()
        assert await app.count(task_type="child") == count
        with trio.fail_after(60):
            while not finished():  # noqa: ASYNC110
                await trio.sleep(0.1)
    assert sorted(grown) == list(range(count))

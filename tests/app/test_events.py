"""Events: in order for each task, and nobody waits for those who listen."""

from __future__ import annotations

import logging
from datetime import UTC
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import Snooze, TaskContext, TaskEvent, TaskEventType, TaskSystem
from actors.errors import InvalidOption
from actors.testing import run_until_idle
from tests.app.world import HOUR, collect, drained, refused

T = TaskEventType


async def eventful(ctx: TaskContext) -> str:
    """Fails once, snoozes once, and then succeeds."""
    if ctx.attempt == 1:
        raise ValueError("first")
    if ctx.attempt == 2:
        raise Snooze(5)
    return "done"


async def test_one_tasks_events_come_in_order(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(eventful)
    async with app.running(), app.events() as events:
        ticket = await declared.submit()
        told = await collect(events, T.COMPLETED)
    assert [(event.type, event.attempt) for event in told] == [
        (T.SUBMITTED, 0), (T.STARTED, 1), (T.RETRY_SCHEDULED, 1), (T.STARTED, 2), (T.SNOOZED, 2), (T.STARTED, 3),
        (T.COMPLETED, 3),
    ]  # fmt: skip
    assert {(event.task_id, event.task_type) for event in told} == {(ticket.task_id, "eventful")}
    moments = [event.at for event in told]
    assert moments == sorted(moments)
    assert all(moment.tzinfo is UTC for moment in moments)


@pytest.mark.parametrize("end", [T.FAILED, T.TIMED_OUT, T.CANCELLED])
async def test_every_end_is_told(app: TaskSystem, end: TaskEventType, autojump_clock: MockClock) -> None:
    @app.task(max_retries=0, timeout=10)
    async def work() -> None:
        if end is T.FAILED:
            raise ValueError("bad")
        await trio.sleep_forever()

    async with app.running(), app.events() as events:
        ticket = await work.submit()
        if end is T.CANCELLED:
            await ticket.cancel()
        told = await collect(events, end)
    assert sum(event.type in (T.FAILED, T.TIMED_OUT, T.CANCELLED, T.COMPLETED) for event in told) == 1


async def test_a_ticket_tells_of_its_own_task_only(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(eventful)
    async with app.running():
        mine, other = await app.submit_many([declared.options(delay=10).request(), declared.request()])
        async with mine.events() as events:
            await other.wait()
            told = await collect(events, T.COMPLETED)
    assert {event.task_id for event in told} == {mine.task_id}


async def test_events_are_chosen_by_type_of_task_and_of_event(app: TaskSystem, autojump_clock: MockClock) -> None:
    one, other = app.register_handler("one", eventful), app.register_handler("other", eventful)
    async with app.running(), app.events("one", [T.STARTED]) as starts, app.events("other") as others:
        await one.submit()
        await other.submit()
        await run_until_idle(app)
        assert drained(others)
        assert [(event.task_type, event.type) for event in drained(starts)] == [("one", T.STARTED)] * 3


async def test_one_type_of_event_needs_no_collection(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(eventful)
    async with app.running(), app.events(types=T.COMPLETED) as ends:
        await declared.submit()
        await run_until_idle(app)
        assert (await ends.receive()).type is T.COMPLETED


async def test_types_that_are_no_event_types_are_refused(app: TaskSystem) -> None:
    async with app.running():
        with refused(InvalidOption, "types", "'completed'", "TaskEventType.COMPLETED"):
            async with app.events(types="completed"):  # type: ignore[arg-type]  # as careless callers do
                pytest.fail("there are no such events")


class Listener:
    """A callback with a memory, and a fault."""

    async def __call__(self, event: TaskEvent) -> None: ...


async def listen(seen: list[TaskEvent], event: TaskEvent) -> None: ...


@pytest.mark.parametrize("callback", [partial(listen, []), Listener()], ids=["function", "object"])
def test_a_callback_that_nobody_would_await_is_refused(app: TaskSystem, callback: Any) -> None:
    with refused(InvalidOption, "event callback", "is async", "plain function"):
        app.on_event(callback)


async def test_a_slow_subscriber_loses_events_counted_and_no_one_waits_for_it(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def quick() -> None: ...

    seen: list[TaskEvent] = []
    app.on_event(seen.append)
    async with app.running(), app.events(types=[T.COMPLETED]) as slow:
        before = trio.current_time()
        await app.submit_many([quick.request() for _ in range(2000)])
        await run_until_idle(app)
        assert trio.current_time() - before < 60
        kept = len(drained(slow))
        assert 0 < kept < 2000
        assert app.metrics().events_lost == 2000 - kept
    assert sum(event.type is T.COMPLETED for event in seen) == 2000


async def test_a_callback_that_raises_is_logged_and_harms_nobody(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    seen = []

    @app.on_event
    def broken(event: TaskEvent) -> None:
        raise RuntimeError("my fault")

    app.on_event(lambda event: seen.append(event.type))
    declared = app.task(eventful)
    async with app.running():
        assert await (await declared.submit()).result() == "done"
        await trio.sleep(1)
        assert all(child.restarts == 0 for child in app.tree())
    assert T.COMPLETED in seen
    assert any("broken" in record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)


async def test_a_subscriber_that_leaves_in_the_middle_harms_nobody(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(eventful)
    async with app.running():
        ticket = await declared.submit()
        async with app.events() as events:
            await events.receive()
            await events.aclose()
        assert await ticket.result() == "done"


async def test_the_channel_ends_with_the_system(app: TaskSystem, autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def listen(task_status: trio.TaskStatus[None]) -> None:
        async with app.events() as events:
            task_status.started()
            async for _ in events:
                pass
            ended.set()

    with trio.fail_after(HOUR):
        async with trio.open_nursery() as nursery:
            async with app.running():
                await nursery.start(listen)
            await ended.wait()

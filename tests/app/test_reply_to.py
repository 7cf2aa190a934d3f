"""Requests with `reply_to`: a channel that hears of one task, from SUBMITTED or REJECTED to its end."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import TaskContext, TaskEvent, TaskEventType, TaskRequest, TaskStatus, TaskSystem
from actors.core.events import FINAL
from actors.errors import InvalidOption, UnknownTaskType
from tests.app.world import HOUR, drained, refused

Channels = tuple[trio.MemorySendChannel[TaskEvent], trio.MemoryReceiveChannel[TaskEvent]]
Kind = TaskEventType


def channels(room: float = 100) -> Channels:
    return trio.open_memory_channel[TaskEvent](room)


async def story(receive: trio.MemoryReceiveChannel[TaskEvent]) -> list[TaskEvent]:
    """The events up to the last one of a task."""
    events = [await receive.receive()]
    while events[-1].type not in {*FINAL, Kind.REJECTED}:
        events.append(await receive.receive())
    return events


def kinds(events: list[TaskEvent]) -> list[TaskEventType]:
    return [event.type for event in events]


@pytest.fixture
def app(app: TaskSystem) -> TaskSystem:
    """With types that do what their names say."""

    @app.task
    async def double(number: int) -> int:
        return 2 * number

    @app.task(max_retries=1)
    async def fail(ctx: TaskContext) -> None:
        ctx.progress(0.5)
        raise ValueError("no")

    @app.task(timeout=1, max_retries=0)
    async def hang() -> None:
        await trio.sleep_forever()

    @app.task
    async def rest(seconds: float) -> None:
        await trio.sleep(seconds)

    return app


async def test_a_request_by_channel_hears_of_its_task_from_the_submit_to_the_end(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    send, receive = channels()
    async with app.running():
        await app.requests().send(TaskRequest("double", {"number": 21}, reply_to=send))
        events = await story(receive)
        stored = await app.get(events[0].task_id)
    assert kinds(events) == [Kind.SUBMITTED, Kind.STARTED, Kind.COMPLETED]
    assert {(event.task_id, event.task_type) for event in events} == {(events[0].task_id, "double")}
    assert (events[0].data, events[-1].data) == ({}, {"result_data": 42})
    assert stored is not None
    assert stored.status is TaskStatus.COMPLETED
    assert drained(receive) == []


async def test_progress_and_retries_are_told_in_their_order(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, receive = channels()
    async with app.running():
        await app.requests().send(TaskRequest("fail", reply_to=send))
        events = await story(receive)
    attempt = [Kind.STARTED, Kind.PROGRESS]
    assert kinds(events) == [Kind.SUBMITTED, *attempt, Kind.RETRY_SCHEDULED, *attempt, Kind.FAILED]
    assert events[-1].data["error_info"].message == "no"
    assert events[-1].attempt == 2


@pytest.mark.parametrize(
    ("request_", "ends"),
    [
        (TaskRequest("hang"), [Kind.STARTED, Kind.TIMED_OUT]),
        (TaskRequest("double", {"number": "5"}), [Kind.REJECTED]),
        (TaskRequest("duoble"), [Kind.REJECTED]),
    ],
    ids=["timed out", "bad payload", "unknown type"],
)
async def test_every_kind_of_end_is_told(
    request_: TaskRequest, ends: list[TaskEventType], app: TaskSystem, autojump_clock: MockClock
) -> None:
    import attrs

    send, receive = channels()
    async with app.running():
        await app.requests().send(attrs.evolve(request_, reply_to=send))
        events = await story(receive)
    assert kinds(events)[-len(ends) :] == ends


async def test_a_cancel_before_the_start_is_told(app: TaskSystem, autojump_clock: MockClock) -> None:
    from datetime import UTC, datetime

    send, receive = channels()
    async with app.running():
        run_at = datetime.fromtimestamp(app.wall() + HOUR, UTC)
        await app.requests().send(TaskRequest("double", {"number": 1}, run_at=run_at, reply_to=send))
        submitted = await receive.receive()
        await app.cancel(submitted.task_id)
        assert kinds(await story(receive)) == [Kind.CANCELLED]


async def test_submit_takes_a_reply_to_as_well(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, receive = channels()
    async with app.running():
        ticket = await app.submit(TaskRequest("double", {"number": 1}, reply_to=send))
        assert {event.task_id for event in await story(receive)} == {ticket.task_id}
        first, second = await app.submit_many(
            [TaskRequest("double", {"number": 1}), TaskRequest("double", {"number": 2}, reply_to=send)]
        )
        events = await story(receive)
        await first.wait()
        assert {event.task_id for event in events} == {second.task_id}
        assert drained(receive) == []
        with refused(UnknownTaskType, "'duoble'"):
            await app.submit(TaskRequest("duoble", reply_to=send))
        assert drained(receive) == []


async def test_a_request_for_a_task_that_is_there_hears_the_rest_of_its_story(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    send, receive = channels()
    async with app.running():
        ticket = await app.submit(TaskRequest("rest", {"seconds": 100.0}, key="k"))
        await trio.sleep(1)
        await app.requests().send(TaskRequest("rest", {"seconds": 5.0}, key="k", reply_to=send))
        events = await story(receive)
    assert kinds(events) == [Kind.SUBMITTED, Kind.COMPLETED]
    assert {event.task_id for event in events} == {ticket.task_id}
    assert events[0].data == {"created": False}


async def test_a_request_for_a_task_that_has_ended_hears_of_the_end_at_once(app: TaskSystem, file_url: str) -> None:
    task_id = str(uuid.uuid4())
    request = TaskRequest("double", {"number": 4}, task_id=task_id)
    async with app.running(database_url=file_url):
        await (await app.submit(request)).wait()
    send, receive = channels()
    async with app.running(database_url=file_url):
        with trio.fail_after(5):
            await app.requests().send(TaskRequest("double", {"number": 4}, task_id=task_id, reply_to=send))
            events = await story(receive)
    assert kinds(events) == [Kind.SUBMITTED, Kind.COMPLETED]
    assert (events[0].data, events[1].data) == ({"created": False}, {"result_data": 8})


async def test_a_full_channel_loses_events_but_not_the_last_one(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, receive = channels(1)
    async with app.running():
        await app.requests().send(TaskRequest("fail", reply_to=send))
        await trio.sleep(60)
        assert app.metrics().events_lost == 5
        assert (await receive.receive()).type is Kind.SUBMITTED
        before = trio.current_time()
        assert (await receive.receive()).type is Kind.FAILED
        assert trio.current_time() - before < 0.1
        assert app.metrics().events_lost == 5


async def test_a_channel_without_room_gets_the_last_events_in_their_order_as_they_are_received(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    send, receive = channels(0)
    async with app.running():
        for number in range(5):
            await app.submit(TaskRequest("double", {"number": number}, reply_to=send))
            await trio.sleep(1)
        assert [(await receive.receive()).data["result_data"] for _ in range(5)] == [0, 2, 4, 6, 8]


async def test_a_closed_receiver_is_forgotten_and_harms_nobody(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    gone_send, gone = channels(1)
    full_send, full = channels(0)
    send, receive = channels()
    async with app.running():
        for channel in (gone_send, full_send, send):
            await app.requests().send(TaskRequest("fail", reply_to=channel))
        gone.close()
        assert kinds(await story(receive))[-1] is Kind.FAILED
        full.close()
        await trio.sleep(1)
        tasks = app.running_node.tree.snapshot()
        assert [child.restarts for child in tasks] == [0] * len(tasks)
        assert not app.running_node._replies
    assert caplog.records == []


async def test_the_channel_stays_the_callers(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, receive = channels()
    async with app.running():
        for _ in range(2):
            await app.requests().send(TaskRequest("double", {"number": 1}, reply_to=send))
            await story(receive)
    send.send_nowait(TaskEvent(Kind.STUCK, "", "", 0, None))  # type: ignore[arg-type]  # anything
    assert len(drained(receive)) == 1


async def test_a_submit_only_node_hears_of_the_end_that_another_node_brings_about(
    settings: Any, app: TaskSystem, file_url: str
) -> None:
    other = TaskSystem(file_url, settings=settings)

    @other.task
    async def double(number: int) -> int:
        return 2 * number

    send, receive = channels()
    async with other.running(), app.running(work=False, database_url=file_url):
        with trio.fail_after(10):
            await app.requests().send(TaskRequest("double", {"number": 4}, reply_to=send))
            events = await story(receive)
    assert kinds(events) == [Kind.SUBMITTED, Kind.COMPLETED]
    assert events[-1].data == {"result_data": 8}


async def test_what_ends_while_the_system_stops_is_told(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, receive = channels()
    async with app.running():
        await app.submit(TaskRequest("rest", {"seconds": 5.0}, reply_to=send))
        await trio.sleep(1)
    assert kinds(drained(receive))[-1] is Kind.COMPLETED


@pytest.mark.parametrize("bad", ["mail", 5, object()])
async def test_a_reply_to_that_is_no_channel_is_refused(bad: Any, app: TaskSystem, autojump_clock: MockClock) -> None:
    async with app.running(), app.events() as events:
        with refused(InvalidOption, "reply_to", "open_memory_channel"):
            await app.submit(TaskRequest("double", {"number": 1}, reply_to=bad))
        await app.requests().send(TaskRequest("double", {"number": 1}, reply_to=bad))
        rejected = await events.receive()
        assert (rejected.type, rejected.data["error_type"]) == (Kind.REJECTED, "InvalidOption")
        assert await app.count() == 0


async def test_a_child_has_no_reply_to(app: TaskSystem, autojump_clock: MockClock) -> None:
    send, _ = channels()

    @app.task
    async def parent(ctx: TaskContext) -> None:
        with refused(InvalidOption, "reply_to"):
            ctx.submit(TaskRequest("double", {"number": 1}, reply_to=send))

    async with app.running():
        await (await parent.submit()).result()
        assert await app.count() == 1

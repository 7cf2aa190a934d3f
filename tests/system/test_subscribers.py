"""Who listens: slow ones lose events, and no listener's fault reaches another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors.core.errors import InvalidOption
from actors.core.events import TaskEvent, TaskEventType
from actors.core.task import moment
from actors.system.subscribers import BUFFER, Subscribers


def event(kind: TaskEventType = TaskEventType.STARTED, task_id: str = "1", task_type: str = "work") -> TaskEvent:
    return TaskEvent(kind, task_id, task_type, 1, moment(0))


async def test_a_subscriber_gets_what_it_asked_for() -> None:
    subscribers = Subscribers([])
    finals = {TaskEventType.COMPLETED}
    events = [event(), event(task_type="mail"), event(TaskEventType.COMPLETED, "2"), event(task_id="3")]
    with (
        subscribers.subscribe() as everything,
        subscribers.subscribe(task_type="mail") as mail,
        subscribers.subscribe(types=finals) as ends,
    ):
        for one in events:
            subscribers.publish(one)
        subscribers.close()
        assert [one async for one in everything] == events
        assert [one async for one in mail] == [events[1]]
        assert [one async for one in ends] == [events[2]]


async def test_a_slow_subscriber_loses_events_which_is_counted_and_nobody_waits_for_it() -> None:
    subscribers = Subscribers([])
    with subscribers.subscribe() as slow, subscribers.subscribe(task_type="mail") as other:
        for _ in range(BUFFER + 7):
            subscribers.publish(event())
        subscribers.publish(event(task_type="mail"))
        assert subscribers.lost == 8
        assert slow.statistics().current_buffer_used == BUFFER
        assert other.receive_nowait() == event(task_type="mail")
    assert subscribers.lost == 0


async def test_a_subscriber_that_closed_its_channel_is_left_out() -> None:
    subscribers = Subscribers([])
    with subscribers.subscribe() as receive:
        receive.close()
        subscribers.publish(event())
    assert subscribers.lost == 0
    assert not subscribers


async def test_a_callback_that_raises_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: TaskEvent) -> None:
        raise ValueError("bad callback")

    seen: list[TaskEvent] = []
    subscribers = Subscribers([fail, seen.append])
    assert subscribers
    with subscribers.subscribe() as receive:
        subscribers.publish(event())
        assert await receive.receive() == event()
    assert seen == [event()]
    assert "bad callback" in caplog.text
    assert "the others go on" in caplog.text


async def test_the_end_of_events_ends_every_channel() -> None:
    subscribers = Subscribers([])
    with subscribers.subscribe() as receive:
        subscribers.close()
        with pytest.raises(trio.EndOfChannel):
            await receive.receive()


@pytest.mark.parametrize(
    "types",
    [
        lambda: TaskEventType.COMPLETED,
        lambda: [TaskEventType.COMPLETED],
        lambda: (kind for kind in TaskEventType if kind is TaskEventType.COMPLETED),
    ],
    ids=["one", "list", "generator"],
)
async def test_types_may_be_one_or_any_number_given_once(types: Callable[[], Any]) -> None:
    subscribers = Subscribers([])
    wanted = event(TaskEventType.COMPLETED)
    with subscribers.subscribe(types=types()) as receive:
        for one in (event(), wanted, event(), wanted):
            subscribers.publish(one)
        subscribers.close()
        assert [one async for one in receive] == [wanted, wanted]


@pytest.mark.parametrize("types", ["completed", ["completed"], [TaskEventType.COMPLETED, [1]], [], 5])
async def test_types_that_are_no_event_types_are_refused_at_once(types: Any) -> None:
    subscribers = Subscribers([])
    with pytest.raises(InvalidOption, match=r"^types is .*; it should be event types, such as .*$"):
        subscribers.subscribe(types=types).__enter__()
    assert not subscribers


async def test_an_event_after_the_end_of_events_reaches_nobody_and_raises_nothing() -> None:
    subscribers = Subscribers([])
    with subscribers.subscribe() as receive:
        subscribers.close()
        subscribers.publish(event())
        with pytest.raises(trio.EndOfChannel):
            receive.receive_nowait()

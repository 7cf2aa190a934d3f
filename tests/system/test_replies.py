"""What is owed to the channels of requests, and when it is handed out."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.core.errors import NotRunning
from actors.core.events import TaskEvent, TaskEventType
from actors.core.request import Receipt
from actors.core.retention import DAY, Retention
from actors.core.task import moment
from actors.store.steer import Cancelled
from actors.system.messages import Committed, LookAtReplies
from actors.system.monitor import REPLY_EVERY, Monitor
from actors.system.replies import TRIED_AT_ONCE
from actors.system.transaction import Transaction
from actors.system.writes import Submit
from tests.app.world import drained
from tests.system.world import AGING, World, alive

Channel = trio.MemorySendChannel[TaskEvent]
Kind = TaskEventType


class Desk:
    """Replies whose submits are answered by hand."""

    def __init__(self) -> None:
        self.world = World()
        self.replies = self.world.replies

    def submit(self, *channels: Channel | None, created: bool = True) -> list[str]:
        """A submit of one row for each of *channels* that is stored; the ids."""
        submit = Submit([self.world.row() for _ in channels])
        self.replies.follow(submit, channels)
        ids = [row.task_id for row in submit.rows]
        submit.answer([Receipt(task_id, created) for task_id in ids])
        return ids

    def offer(self, kind: TaskEventType, task_id: str) -> None:
        self.replies.offer(event(kind, task_id))

    def transaction(self, *task_ids: str) -> Transaction:
        """One in which these tasks were cancelled."""
        done = Transaction(None, "node-1", 0.0, AGING)  # type: ignore[arg-type]  # nothing is read or written
        done.cancelled = [Cancelled(task_id, "work", 0, taken=True) for task_id in task_ids]
        return done

    def end(self, *task_ids: str) -> None:
        """Have Storage hear of their ends."""
        self.world.waiters.committed(self.transaction(*task_ids))


def event(kind: TaskEventType, task_id: str) -> TaskEvent:
    return TaskEvent(kind, task_id, "work", 1, moment(0))


def channel(room: float = 9) -> tuple[Channel, trio.MemoryReceiveChannel[TaskEvent]]:
    return trio.open_memory_channel[TaskEvent](room)


def kinds(receive: trio.MemoryReceiveChannel[TaskEvent]) -> list[TaskEventType]:
    return [one.type for one in drained(receive)]


async def test_a_submit_is_told_of_when_it_is_answered_and_each_channel_hears_of_its_own_task() -> None:
    desk = Desk()
    (one, first), (two, second) = channel(), channel()
    ids = desk.submit(one, None, two)
    assert [[(told.type, told.task_id) for told in drained(receive)] for receive in (first, second)] == [
        [(Kind.SUBMITTED, ids[0])], [(Kind.SUBMITTED, ids[2])],
    ]  # fmt: skip


async def test_a_submit_that_fails_tells_nothing() -> None:
    desk = Desk()
    send, receive = channel()
    submit = Submit([desk.world.row()])
    desk.replies.follow(submit, [send])
    submit.fail(ValueError())
    assert drained(receive) == []
    assert not desk.replies


async def test_a_submit_that_nobody_wants_to_hear_of_leaves_nothing() -> None:
    desk = Desk()
    desk.submit(None, None)
    assert not desk.replies
    desk.offer(Kind.STARTED, "1")


async def test_the_end_is_told_after_the_events_that_were_on_their_way() -> None:
    desk = Desk()
    send, receive = channel()
    (task_id,) = desk.submit(send)
    desk.end(task_id)
    desk.offer(Kind.STARTED, task_id)
    desk.offer(Kind.CANCELLED, task_id)  # that of the transaction; it is told once
    desk.replies.give()
    desk.offer(Kind.STUCK, task_id)
    assert kinds(receive) == [Kind.SUBMITTED, Kind.STARTED, Kind.CANCELLED]
    assert not desk.replies
    assert not desk.replies.waiting


async def test_several_channels_may_hear_of_one_task() -> None:
    desk = Desk()
    ends = [channel() for _ in range(3)]
    (task_id,) = desk.submit(ends[0][0])
    for send, _ in ends[1:]:
        submit = Submit([desk.world.row()])
        desk.replies.follow(submit, [send])
        submit.answer([Receipt(task_id, False)])
    desk.end(task_id)
    desk.replies.give()
    assert [kinds(receive) for _, receive in ends] == [[Kind.SUBMITTED, Kind.CANCELLED]] * 3


async def test_what_a_full_channel_loses_is_counted_and_its_last_events_wait_in_order() -> None:
    desk = Desk()
    send, receive = channel(1)
    (task_id,) = desk.submit(send)
    for _ in range(3):
        desk.offer(Kind.PROGRESS, task_id)
    assert desk.replies.lost == 3
    desk.end(task_id)
    desk.replies.give()
    desk.replies.owe(send, event(Kind.REJECTED, "x"))
    assert desk.replies.waiting
    for expected in (Kind.SUBMITTED, Kind.CANCELLED, Kind.REJECTED):
        assert kinds(receive) == [expected]
        desk.replies.try_again()
    assert not desk.replies
    assert desk.replies.lost == 3


@pytest.mark.parametrize("side", ["sender", "receiver"])
async def test_a_closed_channel_is_forgotten_at_the_next_event(side: str) -> None:
    desk = Desk()
    (send, receive), (other, told) = channel(), channel()
    (task_id,) = desk.submit(send)
    submit = Submit([desk.world.row()])
    desk.replies.follow(submit, [other])
    submit.answer([Receipt(task_id, False)])
    (send if side == "sender" else receive).close()
    desk.offer(Kind.STARTED, task_id)
    other.close()
    desk.offer(Kind.STARTED, task_id)
    assert kinds(told) == [Kind.SUBMITTED, Kind.STARTED]
    assert not desk.replies
    assert desk.replies.lost == 0


async def test_a_channel_that_is_closed_before_the_submit_is_stored_is_forgotten() -> None:
    desk = Desk()
    send, receive = channel()
    receive.close()
    desk.submit(send)
    desk.world.waiters.close(NotRunning("stopped"))
    desk.submit(send)
    assert not desk.replies


async def test_a_closed_channel_that_is_owed_something_is_forgotten() -> None:
    desk = Desk()
    send, receive = channel(0)
    (task_id,) = desk.submit(send)
    desk.end(task_id)
    desk.replies.give()
    assert desk.replies
    receive.close()
    desk.replies.try_again()
    assert not desk.replies


async def test_channels_without_room_are_tried_in_turns_so_that_many_do_not_hold_up_the_loop() -> None:
    desk = Desk()
    ends = [channel(1) for _ in range(2 * TRIED_AT_ONCE + 1)]
    desk.end(*desk.submit(*[send for send, _ in ends]))
    desk.replies.give()
    assert [kinds(receive) for _, receive in ends] == [[Kind.SUBMITTED]] * len(ends)
    told = []
    for _ in range(3):
        desk.replies.try_again()
        told.append(sum(len(drained(receive)) for _, receive in ends))
    assert told == [TRIED_AT_ONCE, TRIED_AT_ONCE, 1]
    assert not desk.replies


async def test_a_channel_with_room_hears_of_the_end_at_once_whoever_else_has_none() -> None:
    desk = Desk()
    full = [channel(1) for _ in range(TRIED_AT_ONCE)]
    send, receive = channel()
    desk.end(*desk.submit(*[send for send, _ in full], send))
    desk.replies.give()
    assert kinds(receive) == [Kind.SUBMITTED, Kind.CANCELLED]


async def test_when_the_system_stops_there_is_no_end_to_tell_of() -> None:
    desk = Desk()
    send, receive = channel()
    desk.submit(send)
    desk.world.waiters.close(NotRunning("stopped"))
    desk.replies.give()
    assert kinds(receive) == [Kind.SUBMITTED]
    assert not desk.replies


async def test_only_a_task_that_was_there_before_is_looked_up(autojump_clock: MockClock) -> None:
    desk = Desk()
    send, _ = channel()
    desk.submit(send)
    assert desk.world.storage.take_all() == []
    desk.submit(send, created=False)
    assert len(desk.world.storage.take_all()) == 1


def monitor(world: World) -> Monitor:
    return Monitor(
        world.clock, world.subscribers, world.replies, world.board, Retention(DAY, DAY, DAY), world.storage.handle,
        world.monitor.handle,
    )  # fmt: skip


async def test_the_monitor_tells_of_a_transactions_events_before_the_end_that_came_with_it(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    send, receive = channel()
    (task_id,) = desk.submit(send)
    async with alive("monitor", lambda: monitor(desk.world)) as child:
        desk.end(task_id)
        for message in desk.world.monitor.take_all():
            assert isinstance(message, LookAtReplies)
            child.handle.hint(message)
        child.handle.hint(Committed(_started(desk, task_id)))
        told = [(await receive.receive()).type for _ in range(3)]
    assert told == [Kind.SUBMITTED, Kind.STARTED, Kind.CANCELLED]


def _started(desk: Desk, task_id: str) -> Transaction:
    transaction = desk.transaction(task_id)
    started: Any = desk.world.take(task_id=task_id)
    transaction.claimed = [started]
    return transaction


async def test_the_monitor_tries_a_full_channel_again_every_50_ms(autojump_clock: MockClock) -> None:
    desk = Desk()
    send, receive = channel(0)
    (task_id,) = desk.submit(send)
    async with alive("monitor", lambda: monitor(desk.world)) as child:
        desk.end(task_id)
        child.handle.hint(LookAtReplies())
        await trio.sleep(10)
        assert child.handle.statistics().received == 1
        before = trio.current_time()
        with trio.fail_after(5):
            assert (await receive.receive()).type is Kind.CANCELLED
        assert trio.current_time() - before < 1.01 * REPLY_EVERY


async def test_many_ends_for_one_channel_come_as_fast_as_they_are_read(autojump_clock: MockClock) -> None:
    desk = Desk()
    send, receive = channel(0)
    ids = desk.submit(*[send] * 1000)
    async with alive("monitor", lambda: monitor(desk.world)) as child:
        desk.end(*ids)
        child.handle.hint(LookAtReplies())
        await trio.sleep(10)
        with trio.fail_after(2):
            assert [(await receive.receive()).task_id for _ in ids] == ids


async def test_what_is_owed_when_the_monitor_stops_is_tried_once_more(autojump_clock: MockClock) -> None:
    desk = Desk()
    send, receive = channel(1)
    (task_id,) = desk.submit(send)
    async with alive("monitor", lambda: monitor(desk.world)):
        await trio.sleep(1)
        desk.end(task_id)
        await trio.sleep(1)
        assert kinds(receive) == [Kind.SUBMITTED]
    assert kinds(receive) == [Kind.CANCELLED]

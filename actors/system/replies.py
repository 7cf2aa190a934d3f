"""Channels that are told of one task: the `reply_to` of requests."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import attrs
import trio

from ..core.errors import InvalidOption
from ..core.events import FINAL, TaskEvent, TaskEventType
from ..core.request import Receipt, TaskRequest
from ..core.task import moment
from ..kernel import Ask
from ..store.views import Ended
from .happenings import end_of
from .running import ignore
from .waiters import Waiters
from .writes import Submit

Channel: TypeAlias = trio.MemorySendChannel[TaskEvent]

TOLD_APART: Final = FINAL | {TaskEventType.SUBMITTED}
"""What a channel hears of from the submit's receipt and from the task's end, and not from a transaction's events."""
TRIED_AT_ONCE: Final = 500
"""Channels without room that are tried again in one turn: about half a millisecond of the event loop."""


@attrs.frozen(eq=False)
class Followed:
    """A task that has not ended, and the channels that hear of it."""

    wait: Ask[Ended]
    channels: list[Channel] = attrs.field(factory=list)


class Replies:
    """What is owed to the channels that requests came with. It outlives the Monitor, which hands it out.

    A full channel loses events, but not its last one: that is kept until there is room, or nobody receives any more.
    The ends come from the `Waiters`, so that those are heard of too that another process has brought about.

    Args:
        wall: epoch seconds.
        look_up: has the ends of tasks looked up that may have ended already.

    Attributes:
        look: hints the Monitor that something is owed.
        lost: events for which a channel had no room.
    """

    def __init__(self, wall: Callable[[], float], waiters: Waiters, look_up: Callable[[], object]) -> None:
        self._wall = wall
        self._waiters = waiters
        self._look_up = look_up
        self._followed: dict[str, Followed] = {}
        self._ends: list[TaskEvent] = []
        self._owed: dict[Channel, deque[TaskEvent]] = {}
        self.look: Callable[[], object] = ignore
        self.lost = 0

    def __bool__(self) -> bool:
        """Whether anyone has to hear of anything."""
        return bool(self._followed or self._owed)

    @property
    def waiting(self) -> bool:
        """Whether a last event waits for room."""
        return bool(self._owed)

    def follow(self, submit: Submit, channels: Sequence[Channel | None]) -> None:
        """Have *channels*, one for each row, told of what *submit* stores; to be called before it is sent.

        They hear of it inside of Storage's turn, before the events of the same transaction are on their way. Who
        submits hears of it himself if nothing is stored.
        """
        if any(channels):
            submit.reply.then(partial(self._submitted, submit, channels))

    def _submitted(self, submit: Submit, channels: Sequence[Channel | None]) -> None:
        try:
            receipts: list[Receipt] = submit.reply.result()
        except Exception:
            return
        for row, receipt, channel in zip(submit.rows, receipts, channels, strict=True):
            if channel is not None:
                data = {} if receipt.created else {"created": False}
                at = moment(self._wall())
                event = TaskEvent(TaskEventType.SUBMITTED, receipt.task_id, row.task_type, 0, at, data)
                self._begin(receipt, channel)
                self._send(channel, event)

    def _begin(self, receipt: Receipt, channel: Channel) -> None:
        task_id, wait = receipt.task_id, Ask[Ended]()
        if task_id in self._followed:
            self._followed[task_id].channels.append(channel)
            return
        self._followed[task_id] = Followed(wait, [channel])
        wait.reply.then(partial(self._ended, task_id, wait))
        self._waiters.add(task_id, wait, ignore if receipt.created else self._look_up, known=receipt.created)

    def _ended(self, task_id: str, wait: Ask[Ended]) -> None:
        """Note the end. The Monitor hands it out in its turn, since earlier events are on their way to it."""
        try:
            ended = wait.reply.result()
        except Exception:  # it is not stored any longer, or the system stops: there is no end to tell of
            self._followed.pop(task_id, None)
            return
        self._ends.append(end_of(ended, moment(self._wall())))
        self.look()

    def owe(self, channel: Channel, event: TaskEvent) -> None:
        """Keep *event* until *channel* takes it, or nobody receives any more."""
        self._owed.setdefault(channel, deque()).append(event)
        self._try(channel)
        self.look()

    def offer(self, event: TaskEvent) -> None:
        """Tell the channels that hear of the event's task; whose channel is full loses it."""
        followed = self._followed.get(event.task_id)
        if followed is not None and event.type not in TOLD_APART:
            for channel in list(followed.channels):
                self._send(channel, event)

    def _send(self, channel: Channel, event: TaskEvent) -> None:
        try:
            channel.send_nowait(event)
        except trio.WouldBlock:
            self.lost += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._forget(channel, event.task_id)

    def _forget(self, channel: Channel, task_id: str) -> None:
        followed = self._followed.get(task_id)
        if followed is not None:
            followed.channels.remove(channel)
        if followed is not None and not followed.channels:
            del self._followed[task_id]
            self._waiters.remove(task_id, followed.wait)

    def give(self) -> None:
        """Hand out the last events that have come, as far as there is room."""
        ends, self._ends = self._ends, []
        channels: dict[Channel, None] = {}
        for event in ends:
            if (followed := self._followed.pop(event.task_id, None)) is not None:
                for channel in followed.channels:
                    self._owed.setdefault(channel, deque()).append(event)
                    channels[channel] = None
        for channel in channels:
            self._try(channel)

    def try_again(self, most: int | None = TRIED_AT_ONCE) -> bool:
        """Try channels that had no room, *most* of them (None: all), the others next time; whether any took a thing."""
        channels = list(itertools.islice(self._owed, most))
        return sum(map(self._try, channels)) > 0

    def _try(self, channel: Channel) -> bool:
        events = self._owed.pop(channel)
        before = len(events)
        if not _emptied(channel, events):
            self._owed[channel] = events
        return len(events) < before


def _emptied(channel: Channel, events: deque[TaskEvent]) -> bool:
    """Send *events* as long as there is room; whether nothing is left to be sent."""
    try:
        while events:
            channel.send_nowait(events[0])
            events.popleft()
    except trio.WouldBlock:
        return False
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # nobody receives: it is forgotten
    return True


def channel_of(request: TaskRequest) -> Channel | None:
    """Where the request's submitter wants to hear of its task.

    Raises:
        InvalidOption: it is no channel that can be sent to.
    """
    channel = request.reply_to
    if channel is not None and not isinstance(channel, trio.MemorySendChannel):
        raise InvalidOption(
            f"reply_to is {channel!r:.80}; it should be the send channel of trio.open_memory_channel(…)"
        )
    return channel

"""Who listens to events: channels that lose what they cannot take, and guarded callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
import trio

from ..core.errors import InvalidOption
from ..core.events import TaskEvent, TaskEventType

logger = logging.getLogger("actors.system")

BUFFER = 1000
"""Events that a slow subscriber may be behind before it loses some."""


class Listener(Protocol):
    """Who is offered events, and takes those that it wants.

    Attributes:
        lost: events that it was too slow for.
    """

    sender: trio.MemorySendChannel[TaskEvent]
    lost: int

    def offer(self, event: TaskEvent) -> None:
        """Take *event*, or leave it; without waiting."""


@attrs.define(eq=False)
class Subscription:
    """One listener; None means any.

    Attributes:
        lost: events that it was too slow for.
    """

    sender: trio.MemorySendChannel[TaskEvent]
    task_type: str | None
    types: frozenset[TaskEventType] | None
    lost: int = 0

    def offer(self, event: TaskEvent) -> None:
        """Give it *event*, if it is one that it wants and has room for."""
        if self.task_type is not None and self.task_type != event.task_type:
            return
        if self.types is not None and event.type not in self.types:
            return
        try:
            self.sender.send_nowait(event)
        except trio.WouldBlock:
            self.lost += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the receiver is closed, or all events have ended; its block will take this subscription out


class Subscribers:
    """All listeners of this node. They outlive the Monitor."""

    def __init__(self, callbacks: list[Callable[[TaskEvent], object]]) -> None:
        self._listeners: list[Listener] = []
        self._callbacks = callbacks

    def __bool__(self) -> bool:
        return bool(self._listeners or self._callbacks)

    @property
    def lost(self) -> int:
        """Events that slow subscribers of now have lost."""
        return sum(listener.lost for listener in self._listeners)

    @contextmanager
    def subscribe(
        self,
        task_type: str | None = None,
        types: TaskEventType | Iterable[TaskEventType] | None = None,
    ) -> Iterator[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of the events that come while the block runs.

        Raises:
            InvalidOption: *types* has something else than event types, or nothing.
        """
        sender, receiver = trio.open_memory_channel[TaskEvent](BUFFER)
        subscription = Subscription(sender, task_type, None if types is None else _kinds(types))
        with self.listening(subscription), sender, receiver:
            yield receiver

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Offer all events to *listener* while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def publish(self, event: TaskEvent) -> None:
        """Offer *event* to everyone; nobody is waited for, and no listener's fault reaches another."""
        for listener in self._listeners:
            listener.offer(event)
        for callback in self._callbacks:
            try:
                callback(event)
            except Exception:
                words = "the event callback %r raised on %s; the others go on"
                logger.exception(words, callback, event.type.value, extra=event.names)

    def close(self) -> None:
        """End every subscriber's channel: there will be no more events."""
        for listener in self._listeners:
            listener.sender.close()


def _kinds(types: object) -> frozenset[TaskEventType]:
    given = tuple(types) if isinstance(types, Iterable) else (types,)
    if given and all(isinstance(one, TaskEventType) for one in given):
        return frozenset(given)
    raise InvalidOption(f"types is {types!r:.80}; it should be event types, such as [TaskEventType.COMPLETED]")

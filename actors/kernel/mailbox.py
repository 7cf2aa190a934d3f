"""A child's mailbox: a bounded trio memory channel, and the books on what came out of it.

It belongs to the child's place in the tree and not to the life of one
instance. So a crash keeps what is queued, and what was in hand is given again.
"""

from __future__ import annotations

import logging
import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any, Generic, TypeVar

import attrs
import trio

from .ask import Ask
from .errors import ActorStopped, crashed

M = TypeVar("M")
log = logging.getLogger("actors.kernel")

DEAD_LETTERS_KEPT = 100


@attrs.frozen
class DeadLetter(Generic[M]):
    """A message that crashed its actor twice, and the second crash."""

    message: M
    error: Exception


@attrs.frozen
class MailboxStatistics:
    """Counts since the child was made; a restart does not reset them."""

    depth: int
    """Messages that wait now; those in the hands of the actor not included."""
    capacity: int
    peak: int
    """The most that the actor ever found waiting at once."""
    received: int
    """Messages given to the actor; one that is given again counts again."""
    handled: int
    """Messages whose `receive` returned."""
    hints_dropped: int
    dead_letters: int


class Mailbox(Generic[M]):
    """The queue of the child *name*, read by one instance at a time.

    A message is *queued*, then *in hand* while `receive` runs, then handled;
    an ask that was handled but not answered is *parked* until it is.
    """

    def __init__(self, name: str, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity of {name!r} is {capacity}; a mailbox holds 1 message or more")
        self.name = name
        self.capacity = capacity
        self.closed = False
        self.hints_dropped = 0
        self.dead_letters: deque[DeadLetter[M]] = deque(maxlen=DEAD_LETTERS_KEPT)
        # This receiver stays open from one instance to the next: when the last one closes, trio drops what is queued.
        self.sender, self._receiver = trio.open_memory_channel[M](capacity)
        self._reader: trio.MemoryReceiveChannel[M] | None = None
        self._again: deque[tuple[M, int]] = deque()
        self._left: deque[M] = deque()
        self._hand: Sequence[M] = ()
        self._hand_crashes = 0
        self._parked: dict[int, Ask[Any]] = {}
        self._peak = self._received = self._handled = self._dead = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is left for an instance to handle."""
        return self._depth() == 0

    def statistics(self) -> MailboxStatistics:
        depth = self._depth()
        return MailboxStatistics(
            depth=depth,
            capacity=self.capacity,
            peak=max(self._peak, min(depth, self.capacity)),
            received=self._received,
            handled=self._handled,
            hints_dropped=self.hints_dropped,
            dead_letters=self._dead,
        )

    def _depth(self) -> int:
        return self._receiver.statistics().current_buffer_used + len(self._again) + len(self._left)

    def open(self) -> None:
        """A new instance begins to read. It has a receiver of its own, so that closing that one wakes it alone."""
        if not self.closed:
            self._reader = self._receiver.clone()

    async def take(self, most: int, until: float = math.inf) -> Sequence[M] | None:
        """The next messages, up to *most*, oldest first; they are in hand until `done`.

        Waits for the first one until the time *until*, then gives an empty
        batch. None: this instance is to read no more.
        """
        if self._reader is None and not self.closed:
            return None
        if self._again:
            return await self._take_again()
        if self._reader is None:
            return await self._take_left(most)
        reader = self._reader
        try:
            batch = await self._first(reader, until)
        except trio.ClosedResourceError:  # released or closed while it waited
            return await self.take(most, until)
        return self._fill(reader, batch, most)

    def take_nowait(self, most: int) -> Sequence[M]:
        """Like `take`, but only what is queued now, and nothing that is given again."""
        return self._fill(self._receiver, [], most)

    async def _first(self, reader: trio.MemoryReceiveChannel[M], until: float) -> list[M]:
        if until == math.inf:
            return [await reader.receive()]
        if until > trio.current_time():
            with trio.CancelScope(deadline=until):
                return [await reader.receive()]
            return []
        # In a scope whose time has come nothing could be received: a deadline that never moves on would starve us.
        await trio.lowlevel.checkpoint()
        try:
            return [reader.receive_nowait()]
        except trio.WouldBlock:
            return []

    def _fill(self, reader: trio.MemoryReceiveChannel[M], batch: list[M], most: int) -> Sequence[M]:
        # The reader may have closed just after it was handed the first message: then that one is the batch.
        _drain(reader, batch.append, most - len(batch))
        waited = len(batch) if len(batch) < most else most + self._depth()
        self._peak = max(self._peak, min(waited, self.capacity))
        return self._give(batch, crashes=0)

    async def _take_again(self) -> Sequence[M]:
        await trio.lowlevel.checkpoint()  # before the message is out: a cancel here must not lose it
        message, crashes = self._again.popleft()
        return self._give([] if _answered(message) else [message], crashes)

    async def _take_left(self, most: int) -> Sequence[M] | None:
        await trio.lowlevel.checkpoint()
        batch = [self._left.popleft() for _ in range(min(most, len(self._left)))]
        return self._give(batch, crashes=0) or None

    def _give(self, batch: list[M], crashes: int) -> Sequence[M]:
        self._hand = batch
        self._hand_crashes = crashes
        self._received += len(batch)
        return batch

    def done(self) -> None:
        """What was in hand is handled. Asks that are not answered yet are parked until they are."""
        for message in self._hand:
            if isinstance(message, Ask) and not message.reply.done:
                self._parked[id(message)] = message
                message.reply.then(partial(self._parked.pop, id(message)))
        self._handled += len(self._hand)
        self._hand = ()

    def crashed(self, error: Exception) -> None:
        """The instance crashed: what it had in hand is given again, once; the askers it put off hear of it."""
        for ask in list(self._parked.values()):
            ask.fail(crashed(self.name, error))
        if self._hand_crashes:
            self._bury(error)
        else:
            self._put_back(crashes=1)

    def left(self) -> None:
        """The instance ended without a crash; what it had in hand, if it was cut off, goes back."""
        for ask in list(self._parked.values()):
            ask.fail(self.stopped())
        self._put_back(self._hand_crashes)

    def _put_back(self, crashes: int) -> None:
        self._again.extendleft((message, crashes) for message in reversed(self._hand) if not _answered(message))
        self._hand = ()

    def _bury(self, error: Exception) -> None:
        for message in self._hand:
            if _answered(message):
                continue
            self._dead += 1
            self.dead_letters.append(DeadLetter(message, error))
            log.error("a message crashed actor %r twice and is given up: %r", self.name, message, exc_info=error)
            if isinstance(message, Ask):
                message.fail(crashed(self.name, error))
        self._hand = ()

    def release(self) -> None:
        """The instance is to read no more; if it waits, it wakes. What is queued stays."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Refuse new messages; what is queued can still be taken. Tells that wait for room are refused too.

        Whatever clones of the sender are still open, nothing comes after this.
        """
        if self.closed:
            return
        self.closed = True
        self.release()
        self.sender.close()
        _drain(self._receiver, self._left.append, sys.maxsize)
        self._receiver.close()

    def abandon(self) -> int:
        """Give up what no instance will handle: the asks among it fail. Returns how many messages that were."""
        lost = [message for message, _ in self._again if not _answered(message)] + list(self._left)
        self._again.clear()
        self._left.clear()
        for message in lost:
            if isinstance(message, Ask):
                message.fail(self.stopped())
        return len(lost)

    def stopped(self) -> ActorStopped:
        """The error for those who still want something of this actor."""
        return ActorStopped(f"actor {self.name!r} has stopped")


def _answered(message: object) -> bool:
    return isinstance(message, Ask) and message.answered


def _drain(receiver: trio.MemoryReceiveChannel[M], put: Callable[[M], None], most: int) -> None:
    receive = receiver.receive_nowait
    with suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
        for _ in repeat(None, most):
            put(receive())

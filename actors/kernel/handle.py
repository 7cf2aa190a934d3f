"""How others reach an actor."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import trio

from .ask import Ask
from .mailbox import Mailbox, MailboxStatistics

M = TypeVar("M")
R = TypeVar("R")

CHECKPOINT_EVERY = 64
"""Tells that found room between two checkpoints: a teller in a loop lets others run, and pays for one in 64."""


class Handle(Generic[M]):
    """The way to one child. It stays good while its actor restarts."""

    __slots__ = ("_mailbox", "_send_nowait", "_told")

    def __init__(self, mailbox: Mailbox[M]) -> None:
        self._mailbox = mailbox
        self._send_nowait = mailbox.sender.send_nowait
        self._told = 0

    def __repr__(self) -> str:
        return f"<Handle {self._mailbox.name!r}>"

    async def tell(self, m: M) -> None:
        """Put *m* into the mailbox; wait while it is full.

        It may be an ask whose answer is looked at later, through its `reply`.

        Raises:
            ActorStopped: the actor has stopped, or it stopped while this waited for room; *m* will not be handled.
        """
        if not self._put(m):
            await self._put_when_there_is_room(m)
            return
        self._told += 1
        if self._told % CHECKPOINT_EVERY == 0:
            await trio.lowlevel.checkpoint()

    def _put(self, m: M) -> bool:
        """Put *m* into the mailbox, if there is room."""
        try:
            self._send_nowait(m)
        except trio.WouldBlock:
            return False
        except trio.ClosedResourceError:
            raise self._mailbox.stopped() from None
        return True

    async def _put_when_there_is_room(self, m: M) -> None:
        try:
            await self._mailbox.sender.send(m)
        except trio.ClosedResourceError:
            raise self._mailbox.stopped() from None

    def hint(self, m: M) -> bool:
        """Put *m* into the mailbox if there is room. False: it was dropped, which is counted. Never waits or raises."""
        try:
            self._send_nowait(m)
        except (trio.WouldBlock, trio.ClosedResourceError):
            self._mailbox.hints_dropped += 1
            return False
        return True

    async def ask(self, m: Ask[R]) -> R:
        """Tell *m* and wait for its answer. Who is cancelled here waits no more, but *m* is handled all the same.

        Raises:
            ActorCrashed: *m* crashed the actor twice, or the actor crashed after it had put the answer off.
            ActorStopped: the actor stopped before it answered.
            BaseException: what the actor answered with `Ask.fail`.
        """
        if not self._put(cast(Any, m)):
            await self._put_when_there_is_room(cast(Any, m))
        return await m.reply.wait()

    def channel(self) -> trio.MemorySendChannel[M]:
        """A sender of one's own into the mailbox. Closing it closes nothing else, and a stop does not wait for it.

        Sending into it raises `trio.BrokenResourceError` once the actor stops.

        Raises:
            ActorStopped: the actor has stopped.
        """
        if self._mailbox.closed:
            raise self._mailbox.stopped()
        return self._mailbox.sender.clone()

    def statistics(self) -> MailboxStatistics:
        """The mailbox's counts; cheap, no I/O."""
        return self._mailbox.statistics()

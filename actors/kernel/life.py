"""One instance of an actor, from `started` to its end: the loop that the kernel owns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from .actor import Actor, Stop
from .mailbox import Mailbox

M = TypeVar("M")


class Life(Generic[M]):
    """Runs what *create* makes on *mailbox*; *on_up* is called when it has started."""

    def __init__(self, create: Callable[[], Actor[M]], mailbox: Mailbox[M], on_up: Callable[[], object]) -> None:
        self.up = False
        """Whether `started` has returned."""
        self.retired = False
        """Whether it was told to make room for another instance."""
        self.over = trio.Event()
        """Set by the supervisor, when it has done with this life."""
        self._create = create
        self._mailbox = mailbox
        self._on_up = on_up
        self._scope = trio.CancelScope(shield=True)

    async def run(self) -> None:
        """Live until the mailbox gives no more, or until the cut.

        Raises:
            Stop: the actor said that it is done; the end was orderly.
            Exception: the actor crashed.
        """
        with self._scope:
            actor = self._create()
            self._mailbox.open()
            try:
                await self._serve(actor)
            except Stop:
                self._mailbox.done()
                await actor.stopped()
                raise
            finally:
                self._mailbox.release()
            await actor.stopped()

    async def _serve(self, actor: Actor[M]) -> None:
        await actor.started()
        self.up = True
        self._on_up()
        while await self._round(actor):
            pass

    async def _round(self, actor: Actor[M]) -> bool:
        # The deadline is looked at before each batch, so that a flood of messages does not put `wake` off; and a
        # deadline that never moves on only ends the waiting, so that it does not put the messages off.
        deadline = actor.wake_at()
        if deadline != math.inf and deadline <= trio.current_time():
            await actor.wake()
            deadline = actor.wake_at()
        batch = await self._mailbox.take(actor.most, deadline)
        if batch:
            await actor.receive(batch)
            self._mailbox.done()
        return batch is not None

    def retire(self) -> None:
        """End after the batch in hand and leave the mailbox as it is; at once, if it has not started yet."""
        self.retired = True
        if self.up:
            self._mailbox.release()
        else:
            self.cut()

    def cut(self) -> None:
        """Cancel whatever it does; what it has in hand goes back into the mailbox."""
        self._scope.cancel(reason="the actor is cut off")

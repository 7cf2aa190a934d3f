"""A mailbox read by hand: in tests it stands in for an actor's peer."""

from __future__ import annotations

import sys
from typing import Generic, TypeVar

from .handle import Handle
from .mailbox import Mailbox

M = TypeVar("M")


class Probe(Generic[M]):
    """Gives its `handle` to the actor under test, and what that one sends to the test."""

    def __init__(self, name: str = "probe", capacity: int = 1000) -> None:
        self._mailbox: Mailbox[M] = Mailbox(name, capacity)
        self._mailbox.open()
        self.handle: Handle[M] = Handle(self._mailbox)

    async def next(self) -> M:
        """The next message; waits for it.

        Raises:
            ActorStopped: the probe was stopped, and nothing is left in it.
        """
        batch = await self._mailbox.take(1)
        if not batch:
            raise self._mailbox.stopped()
        self._mailbox.done()
        return batch[0]

    def take_all(self) -> list[M]:
        """What is there now, oldest first; does not wait."""
        batch = self._mailbox.take_nowait(sys.maxsize)
        self._mailbox.done()
        return list(batch)

    def stop(self) -> None:
        """Behave like an actor that has stopped: refuse messages, fail every ask that is not answered."""
        self._mailbox.close()
        self._mailbox.left()
        self._mailbox.abandon()

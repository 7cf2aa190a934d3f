"""What an actor is: state, and what it does with the messages that came."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

M = TypeVar("M")


class Stop(Exception):
    """Raised by an actor that is done.

    What it was handling counts as handled, and `Actor.stopped` is called. A
    permanent child is started again all the same; others end.
    """


class Actor(ABC, Generic[M]):
    """State that one task owns. The kernel owns the loop and calls these, one at a time.

    Any of them may raise: that is a crash, and the supervisor decides. After
    it a *new* instance is made; nothing of this one is used again.
    """

    most: ClassVar[int] = 1000
    """The largest batch that `receive` is given, 1 or more. Load makes batches larger."""

    async def started(self) -> None:
        """Get ready; called first. The children after this one start when it has returned."""

    @abstractmethod
    async def receive(self, batch: Sequence[M]) -> None:
        """Handle the messages that have come, oldest first: 1 to `most`.

        After a crash the batch is given again to the next instance, one
        message at a time and without the asks that were answered.
        """

    def wake_at(self) -> float:
        """When to call `wake` next, on the scale of `trio.current_time`; infinity: never. Asked after each call."""
        return math.inf

    async def wake(self) -> None:
        """`wake_at` has come. It should move `wake_at` on; until then it is called again between batches."""

    async def stopped(self) -> None:
        """Clean up in an orderly stop, after the last batch. Not called after a crash, nor when cut off."""

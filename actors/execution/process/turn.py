"""An attempt's turn at a child process: it waits for one, perhaps behind others, and hears what comes of it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import trio

from ...core.request import Claimed
from ...core.stop import StopReason

if TYPE_CHECKING:
    from ..attempt import Attempt
    from .child_process import ChildProcess

_MOST_TEXT: Final = 2000
"""Characters of a payload, metadata and context variables that are taken along behind others."""


class Turn:
    """One call, in the node.

    Args:
        task: as it travels.

    Attributes:
        small: whether it may wait behind other calls, and others behind it. Its limits count from when it begins.
        child: where it was sent; None while it waits for one.
        number: of its call there.
        entered: when it began to wait, on trio's clock.
        rest: what is to be sent over the stream before it can begin.
    """

    __slots__ = ("_attempt", "_fault", "_inbox", "_lost", "_news", "_task", "child", "entered", "number", "rest",
                 "small")  # fmt: skip

    def __init__(self, attempt: Attempt, task: Claimed, *, small: bool) -> None:
        self._attempt = attempt
        self._task = task
        self._inbox: deque[list[Any]] = deque()
        self._news: trio.Event | None = None
        self._fault: Exception | None = None
        self._lost = False
        self.small = attempt.waits = small and _is_light(task)
        self.child: ChildProcess | None = None
        self.number = 0
        self.entered = trio.current_time()
        self.rest: tuple[Any, ...] | None = None

    @property
    def task_type(self) -> str:
        """Whose handler is called."""
        return self._attempt.task.task_type

    @property
    def message(self) -> tuple[str | None, tuple[Any, ...], float | None, float]:
        """What the child is told.

        Whether it should stop already, the task, when its limits began to count (None: they will when it begins), and
        by how many seconds the node's clock is ahead of the machine's.
        """
        attempt = self._attempt
        stopping = None if attempt.stopping is None else attempt.stopping.value
        ahead = attempt.surroundings.wall() - time.time()
        return stopping, tuple(self._task), None if self.small else attempt.began_at, ahead

    async def receive(self) -> list[Any] | None:
        """The next thing that the handler says; None if its process died, or has closed its lines.

        Raises:
            Exception: it got no child, or was called off before it began.
        """
        while not self._inbox:
            if self._fault is not None:
                raise self._fault
            if self._lost:
                return None
            if self.child is None or self.child.is_listened_to:
                self._news = trio.Event()
                await self._news.wait()
            elif self.rest is not None:
                rest, self.rest = self.rest, None
                await self.child.send(*rest)
            else:
                await self.child.listen()
        return self._inbox.popleft()

    async def answer(self, *words: Any) -> None:
        """Answer what the handler has asked."""
        if self.child is not None:
            await self.child.send(*words)

    @property
    def end(self) -> str:
        """How its process ended, for an error message."""
        assert self.child is not None, "only one that has begun can die"
        return self.child.end

    def begin(self, now: float) -> None:
        """All that was before it is answered: it runs, as far as is known here."""
        self._attempt.begin(now)

    def send_back(self) -> None:
        """It has not begun, and waits again."""
        self._attempt.waits, self.child = self.small, None

    def hear(self, message: list[Any]) -> None:
        """Its handler has said something."""
        self._inbox.append(message)
        self.wake()

    def lose(self) -> None:
        """The child died in the midst of it."""
        self._lost = True
        self.wake()

    def fail(self, fault: Exception) -> None:
        """It will not begin."""
        self._fault = fault
        self.wake()

    def give_back(self) -> None:
        """It has waited for too long: its task goes back to where it was claimed from, as in a shutdown."""
        self._attempt.stop(StopReason.SHUTDOWN)

    def wake(self) -> None:
        """Have it look at what has changed."""
        if self._news is not None:
            self._news.set()


def _is_light(task: Claimed) -> bool:
    return len(task.input_data) + len(task.metadata or "") + len(task.context or "") <= _MOST_TEXT

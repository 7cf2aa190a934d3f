"""Notices, from the writer's thread, that the event loop is blocked, and says by whom."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import dropwhile
from types import FrameType
from typing import TYPE_CHECKING, Final

import trio

from ..execution.context import TaskContext, within
from ..execution.whereabouts import Frames, on_turn, shown, thread_frames
from ..store.connection import Connection

if TYPE_CHECKING:
    from ..execution.aio import AsyncioLoop

logger = logging.getLogger("actors.system")

BLOCKED_SECONDS: Final = 1.0
"""For how long the event loop does not answer before that is worth a warning. Twice the 0.5 s within which a hard stage
takes effect: until then limits are kept well enough, and a busy machine makes no noise."""
LOOK_SECONDS: Final = 0.25


class LoopWatch:
    """Knocks at the event loop, and warns once for each time that it does not answer.

    It counts the time in which it was itself awake. So a process that was stopped, or slept with its machine, raises no
    alarm; nor does code that keeps the interpreter's lock, since nothing can look meanwhile.

    Args:
        asyncio: the loop inside of trio's, if there is one.
        monotonic: seconds.
    """

    def __init__(self, asyncio: AsyncioLoop | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._asyncio = asyncio
        self._monotonic = monotonic
        self._token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        self._thread = threading.get_ident()
        self._answered = True
        self._told = False
        self._waited = 0.0
        self._looked_at = 0.0

    def tick(self, _: Connection | None) -> float:
        """Look whether it has answered; seconds until the next time."""
        now = self._monotonic()
        if self._answered:
            self._answered = self._told = False
            self._waited = 0.0
            self._token.run_sync_soon(self._answer)
        else:
            self._waited += min(now - self._looked_at, 1.5 * LOOK_SECONDS)
        self._looked_at = now
        if self._waited >= BLOCKED_SECONDS and not self._told:
            self._told = True
            self._tell()
        return LOOK_SECONDS

    def _answer(self) -> None:
        self._answered = True

    def _tell(self) -> None:
        task = None if self._root is None else on_turn(self._root)
        context = self._attempt(task)
        name = repr(context) if context else f"{task.name!r}, which is no handler," if task else "what is no handler"
        stack = shown(_of(task, list(thread_frames(self._thread))))
        words = "the event loop has not answered for %.1f s: %s does not let go of it. It is here:\n%s"
        logger.warning(words, self._waited, name, stack, extra=context.log.extra if context else None)

    def _attempt(self, task: trio.lowlevel.Task | None) -> TaskContext | None:
        """The attempt that *task* belongs to, or that runs on asyncio's loop inside of it."""
        context = None if task is None else within(task.context)
        return self._asyncio.on_turn() if context is None and self._asyncio is not None else context


def _of(task: trio.lowlevel.Task | None, frames: list[tuple[FrameType, int]]) -> Frames:
    """Those of *frames* that are *task*'s; all, if it is not there any more."""
    outermost = getattr(task.coro, "cr_frame", None) if task else None
    return list(dropwhile(lambda step: step[0] is not outermost, frames)) or frames

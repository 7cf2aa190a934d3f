"""Where handlers are: whose turn it is on the event loop, and the stacks that warnings show."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Final, TypeAlias

import trio

from .context import TaskContext, within

Frames: TypeAlias = Iterable[tuple[FrameType, int]]
"""Frames and their lines, outermost first."""

ENTRANCES: Final[set[CodeType]] = set()
"""The code out of which handlers are called: what lies outside of it is not theirs, and is not shown."""


def shown(frames: Frames) -> str:
    """*frames* as the lines of a traceback, from the handler's own on."""
    inner: list[tuple[FrameType, int]] = []
    for frame, line in frames:
        inner.append((frame, line))
        if frame.f_code in ENTRANCES:
            inner.clear()
    return "".join(traceback.StackSummary.extract(iter(inner)).format()).rstrip()


def thread_frames(thread: int | None) -> Frames:
    """Where a thread is, by its ident; nothing if it has ended. In any thread."""
    innermost = None if thread is None else sys._current_frames().get(thread)
    return list(traceback.walk_stack(innermost))[::-1] if innermost is not None else ()


def coroutine_frames(context: TaskContext) -> Frames:
    """Where the coroutine of an attempt waits, and where its children do; in the event loop."""
    root = trio.lowlevel.current_root_task()
    family = [] if root is None else [task for task in _family(root) if within(task.context) is context]
    return [step for task in family for step in task.iter_await_frames()]


def on_turn(root: trio.lowlevel.Task) -> trio.lowlevel.Task | None:
    """The trio task that runs at this moment; in any thread, for one in which trio's loop goes on."""
    return next((task for task in _family(root) if getattr(task.coro, "cr_running", False)), None)


def _family(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """*task* and all that descend from it. trio hands out copies, so that it may go on meanwhile."""
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _family(child)

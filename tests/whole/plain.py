"""Plain handlers for threads and processes. A process imports this, so it must not pay for trio."""

from __future__ import annotations

import ctypes
import time

from actors import TaskContext

DEAF = 0.5
"""Seconds that a handler goes on which hears nothing, in a thread, where nobody can stop it."""
FAR = 60.0


def obeys(ctx: TaskContext) -> None:
    """Work until told to stop."""
    while True:
        ctx.check()
        time.sleep(0.002)


def deaf() -> None:
    """Be left behind by a stop, for a while."""
    time.sleep(DEAF)


def deaf_and_busy() -> None:
    """Compute until killed."""
    end = time.monotonic() + FAR
    while time.monotonic() < end:
        pass


def fails() -> None:
    raise ValueError("it always does")


def quick(number: int) -> int:
    return number


def segfaults_now_and_then(number: int, every: int) -> int:
    """The last of each *every* reads where there is nothing to read."""
    if number % every == every - 1:
        ctypes.string_at(0)
    return number


def logs_and_tells_without_pause(ctx: TaskContext) -> None:
    """Flood the node, and never end."""
    while True:
        ctx.progress(0.5, "still at it")
        ctx.log.warning("and says so")

"""Plain handlers for threads and processes. A process imports this, so it must not pay for trio."""

from __future__ import annotations

import ctypes
import sqlite3
import time
from contextlib import closing

from actors import TaskContext

DEAF = 0.5
"""Seconds that a handler goes on which hears nothing, in a thread, where nobody can stop it."""
LONG = 4.0
FAR = 60.0
BEATS = 4


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


def naps() -> None:
    time.sleep(0.001)


def segfaults_now_and_then(number: int, every: int) -> int:
    """The last of each *every* reads where there is nothing to read."""
    if number % every == every - 1:
        ctypes.string_at(0)
    return number


def floods(ctx: TaskContext, said: int) -> None:
    """Say *said* words of progress as fast as one can."""
    for number in range(1, said + 1):
        ctx.progress(number / said, "working", number=number)


def floods_without_end(ctx: TaskContext) -> None:
    """Say and log without pause until killed, or for as long as a thread may be left behind in a test."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        ctx.progress(0.5, "still at it")
        ctx.log.warning("and says so")


def looks_after_the_lease(path: str) -> int:
    """Compute without pause until the lease of the node that holds the file at *path* was renewed again and again."""
    beats = set[float]()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        while len(beats) < BEATS:
            ((beat, lease),) = connection.execute("SELECT heartbeat_at, lease_until FROM actors_node WHERE working = 1")
            assert lease > time.time(), "it has run out"
            beats.add(beat)
    return len(beats)

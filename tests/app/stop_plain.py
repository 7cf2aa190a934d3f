"""What plain functions do in the stop contract, in threads and in processes. A process imports this, and no trio."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from actors import TaskContext

Bodies = Mapping[str, Callable[..., Any]]

LASTING = 0.4
"""Seconds."""
DEFIANT = 1.8
"""Seconds after which even those who defy everything end, so that a test can see that all is whole again."""
FAR = 60.0
"""Seconds after which what can be killed ends by itself, if nobody does."""


class Unspeakable(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


def hear(ctx: TaskContext, *family: int) -> None:
    """Say that one has begun, who one is, and which processes one has started."""
    ctx.progress(0.5, pid=os.getpid(), family=family)


def finishes(ctx: TaskContext) -> str:
    return "done"


def raises(ctx: TaskContext) -> None:
    raise ValueError("no such page")


def unspeakable(ctx: TaskContext) -> None:
    raise Unspeakable


def unstorable(ctx: TaskContext):  # type: ignore[no-untyped-def]  # its annotation would be refused
    return object()


def obeys(ctx: TaskContext) -> None:
    hear(ctx)
    while True:
        ctx.check()
        time.sleep(0.005)


def tidies(ctx: TaskContext) -> str:
    hear(ctx)
    while ctx.stopping is None:
        time.sleep(0.005)
    return "in part"


def lasts(ctx: TaskContext) -> str:
    hear(ctx)
    time.sleep(LASTING)
    return "done"


def defies(ctx: TaskContext) -> str:
    """Take no notice of the soft stage, nor of anything."""
    hear(ctx)
    time.sleep(DEFIANT)
    return "too late"


def computes(ctx: TaskContext) -> str:
    """Do so while it computes, in Python."""
    hear(ctx)
    end = time.monotonic() + FAR
    while time.monotonic() < end:
        pass
    return "too late"


def holds_the_lock(ctx: TaskContext) -> int:
    """Do so in one call into C, which lets no other thread of its process run, beside a process of its own."""
    with subprocess.Popen(["sleep", str(FAR)]) as started:
        hear(ctx, started.pid)
        return sum(range(10**12))


THREAD: Bodies = {
    "finishes": finishes, "raises": raises, "unspeakable": unspeakable, "unstorable": unstorable, "obeys": obeys,
    "tidies": tidies, "lasts": lasts, "ignores": defies, "defies": defies,
}  # fmt: skip
PROCESS: Bodies = {**THREAD, "ignores": computes, "defies": holds_the_lock}

"""The same handler in every mode. A process imports this, so it must not pay for trio.

In its first attempt it waits until there is a file `go` in its folder, deaf to every soft stage; in later ones for
nothing. It leaves its process id in a file that is named by the task's type and the attempt, and returns the attempt.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec

from actors import TaskContext

MODES = ("coroutine", *(["asyncio"] if find_spec("trio_asyncio") else []), "thread", "process")
"""The names of the modes, and of the task types; there is no asyncio on Python 3.14."""
PAUSE = 0.005


def begin(ctx: TaskContext, folder: str) -> None:
    """Say that this attempt has begun, and in which process; whole, or not at all."""
    path = f"{folder}/{ctx.task_type}.{ctx.attempt}"
    mine = f"{path}.{ctx.task_id}"
    with open(mine, "w") as file:
        file.write(str(os.getpid()))
    os.rename(mine, path)


def may_end(ctx: TaskContext, folder: str) -> bool:
    """Whether there is nothing more to wait for."""
    return ctx.attempt > 1 or os.path.exists(f"{folder}/go")


def plain(ctx: TaskContext, folder: str) -> int:
    """For threads and processes."""
    begin(ctx, folder)
    while not may_end(ctx, folder):
        time.sleep(PAUSE)
    return ctx.attempt

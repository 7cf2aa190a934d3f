"""Tasks that note each start of their handlers, for programs whose second argument is a folder for notes.

In its file `executed` a line is a task, its attempt, the moment and the process.
"""

from __future__ import annotations

import os
import sys
import time

import trio

from actors import Handlers, TaskContext
from tests.whole.programs.telling import note

folder = sys.argv[2]
handlers = Handlers()


def executed(context: TaskContext) -> None:
    note(f"{folder}/executed", context.task_id, context.attempt, time.monotonic(), os.getpid())


@handlers.task
async def quick(context: TaskContext) -> int:
    executed(context)
    return context.attempt


@handlers.task
async def slow(context: TaskContext, seconds: float) -> int:
    executed(context)
    await trio.sleep(seconds)
    return context.attempt


@handlers.task
def thread(context: TaskContext, seconds: float) -> int:
    executed(context)
    time.sleep(seconds)  # what keeps a thread busy
    return context.attempt

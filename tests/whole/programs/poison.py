"""Runs a task that kills its node among innocent ones.

Arguments: the database's URL, "submit" or "resume", and the mode of the poison.
"""

from __future__ import annotations

import asyncio
import sys
import time

import trio

from actors import ExecutionMode, Settings, TaskContext, TaskSystem
from tests.whole.programs.amounts import INNOCENT
from tests.whole.programs.telling import die, die_with_the_parent, say

url, mode, way = sys.argv[1:4]
app = TaskSystem(url, settings=Settings(max_retries=3))
together = 0
PATIENCE = 0.02
"""Seconds until the neighbours of the poison run too, whom it takes down."""


@app.task
async def innocent(context: TaskContext, number: int) -> int:
    global together
    together += 1
    say("started", context.task_id, "with", together)
    await trio.sleep(0.05)
    together -= 1
    return number


async def of_trio(context: TaskContext) -> None:
    say("poison", context.attempt, "with", together)
    await trio.sleep(PATIENCE)
    die()


async def of_asyncio(context: TaskContext) -> None:
    say("poison", context.attempt, "with", together)
    await asyncio.sleep(PATIENCE)
    die()


def in_a_thread(context: TaskContext) -> None:
    say("poison", context.attempt, "with", together)
    time.sleep(PATIENCE)
    die()


def in_a_process(context: TaskContext) -> None:
    say("poison", context.attempt)
    time.sleep(PATIENCE)
    die_with_the_parent()


BODIES = {"coroutine": of_trio, "asyncio": of_asyncio, "thread": in_a_thread, "process": in_a_process}
poison = app.register_handler("poison", BODIES[way], mode=ExecutionMode(way))


async def main() -> None:
    async with app.running():
        if mode == "submit":
            requests = [innocent.request(number=number) for number in range(INNOCENT)]
            await app.submit_many([*requests[::2], poison.request(), *requests[1::2]])
        for task in await app.list(limit=100):
            ended = await app.ticket(task.task_id).wait()
            say("over", ended.task_type, ended.status.value)
    say("ended")


if __name__ == "__main__":
    trio.run(main)

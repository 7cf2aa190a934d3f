"""Runs a task that kills its process among innocent ones. Arguments: the path, and "submit" or "resume"."""

from __future__ import annotations

import sys

import trio

from actors import Settings, TaskContext, TaskSystem
from tests.whole.programs.amounts import INNOCENT
from tests.whole.programs.telling import die, say

path, mode = sys.argv[1:3]
app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_retries=3))
together = 0


@app.task
async def innocent(context: TaskContext, number: int) -> int:
    global together
    together += 1
    say("started", context.task_id, "with", together)
    await trio.sleep(0.05)
    together -= 1
    return number


@app.task
async def poison(context: TaskContext) -> None:
    """Waits until its neighbours run too, and takes them down."""
    say("poison", context.attempt, "with", together)
    await trio.sleep(0.02)
    die()


async def main() -> None:
    async with app.running():
        if mode == "submit":
            requests = [innocent.request(number=number) for number in range(INNOCENT)]
            await app.submit_many([*requests[::2], poison.request(), *requests[1::2]])
        for task in await app.list(limit=100):
            ended = await app.ticket(task.task_id).wait()
            say("over", ended.task_type, ended.status.value)
    say("ended")


trio.run(main)

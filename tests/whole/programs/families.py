"""Parents that submit children, without pause until it is killed, or with "drain" what is left of them.

Arguments: the database's path, a seed, "flood" or "drain". Each child's metadata name its parent, the attempt that
submitted it, and how many children that parent has.
"""

from __future__ import annotations

import random
import sys
import time

import trio

from actors import RetryPolicy, RetryStrategy, Settings, TaskContext, TaskRequest, TaskStatus, TaskSystem
from tests.whole.programs.telling import say

SUBMITTERS = 20

path, seed, mode = sys.argv[1:4]
chance = random.Random(int(seed))
at_once = RetryPolicy(max_retries=9, strategy=RetryStrategy.FIXED, base_delay=0.01, jitter=False)
app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_io_workers=8))


@app.task
async def child(number: int) -> None: ...


def bear(context: TaskContext, count: int) -> None:
    for number in range(count):
        names = {"parent": context.task_id, "attempt": context.attempt, "of": count}
        context.submit(TaskRequest("child", {"number": number}, metadata=names))


@app.task(retry=at_once)
async def coroutine(context: TaskContext, count: int, seconds: float, failures: int) -> None:
    bear(context, count // 2)
    await trio.sleep(seconds)
    bear(context, count - count // 2)
    if context.retry_count < failures:
        raise ValueError("not yet")


@app.task(retry=at_once)
def thread(context: TaskContext, count: int, seconds: float, failures: int) -> None:
    bear(context, count)
    time.sleep(seconds)
    if context.retry_count < failures:
        raise ValueError("not yet")


async def submit_without_pause() -> None:
    while True:
        kind = thread if chance.random() < 0.1 else coroutine
        ticket = await kind.submit(
            count=chance.randrange(12), seconds=chance.uniform(0, 0.1), failures=chance.choice([0, 0, 1, 99])
        )
        if chance.random() < 0.2:
            await trio.sleep(chance.uniform(0, 0.1))
            await ticket.cancel()
        await ticket.wait()


async def main() -> None:
    async with app.running(), trio.open_nursery() as nursery:
        say("running")
        if mode == "flood":
            for _ in range(SUBMITTERS):
                nursery.start_soon(submit_without_pause)
        else:
            for status in (TaskStatus.PENDING, TaskStatus.RETRYING, TaskStatus.RUNNING):
                for task in await app.list(status=status, limit=1000):
                    await app.ticket(task.task_id).wait()
    say("ended")


trio.run(main)

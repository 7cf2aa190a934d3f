"""A working node among others, which submits and runs until it is killed, or does what it is told by lines.

Arguments: the database's URL, a folder for notes, the lease in seconds, the number of submitters, and by how many
seconds the machine's clock is wrong. Notes: `acknowledged` has a line for each task that a submit returned, `executed`
one for each start of a handler: its task, its attempt, the moment and the process.
"""

from __future__ import annotations

import os
import sys
import time

import trio

url, folder, lease, submitters, skew = sys.argv[1:6]
right = time.time
time.time = lambda: right() + float(skew)

from actors import Settings, TaskContext, TaskEvent, TaskEventType, TaskSystem, errors  # noqa: E402  # with the wrong clock
from tests.whole.programs.telling import listen, note, say  # noqa: E402

settings = Settings(max_io_workers=4, max_coroutines=60, max_retries=0, lease_seconds=float(lease), grace_seconds=1)
app = TaskSystem(url, settings=settings)


def executed(context: TaskContext) -> None:
    note(f"{folder}/executed", context.task_id, context.attempt, time.monotonic(), os.getpid())


@app.task
async def quick(context: TaskContext) -> int:
    executed(context)
    return context.attempt


@app.task
async def slow(context: TaskContext, seconds: float) -> int:
    executed(context)
    await trio.sleep(seconds)
    return context.attempt


@app.task
def thread(context: TaskContext, seconds: float) -> int:
    executed(context)
    time.sleep(seconds)
    return context.attempt


@app.on_event
def tell_of_refusals(event: TaskEvent) -> None:
    if event.type is TaskEventType.FENCED:
        say("fenced", event.task_id, event.attempt)


async def submit_without_pause(number: int) -> None:
    """A few at once, then wait for them: what is unfinished stays bounded."""
    turn = number
    while True:
        turn += 1
        seconds = 0.05 + turn * 0.037 % 0.4
        requests = [quick.request(), slow.request(seconds=seconds), slow.request(seconds=seconds / 2)]
        if turn % 10 == 0:
            requests.append(thread.request(seconds=seconds))
        try:
            tickets = await app.submit_many(requests)
        except errors.StorageUnavailable as error:
            say("unavailable", error)
            continue
        for ticket in tickets:
            note(f"{folder}/acknowledged", ticket.task_id)
        for ticket in tickets:
            await ticket.wait()


async def obey(order: str, *values: str) -> None:
    if order == "slow":
        count, seconds = int(values[0]), float(values[1])
        tickets = await app.submit_many([slow.request(seconds=seconds) for _ in range(count)])
        for ticket in tickets:
            note(f"{folder}/acknowledged", ticket.task_id)
        say("submitted", count)
    elif order == "count":
        say("running", app.metrics().running_tasks)


async def main() -> None:
    async with app.running(), trio.open_nursery() as nursery:
        say("ready", app.running_node.name)
        for number in range(int(submitters)):
            nursery.start_soon(submit_without_pause, number)
        while (line := await trio.to_thread.run_sync(listen)) != "end":
            await obey(*line.split())
        nursery.cancel_scope.cancel()
    say("ended")


trio.run(main)

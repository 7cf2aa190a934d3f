"""A working node among others, which submits and runs until it is killed, or does what it is told by lines.

Arguments: the database's URL, a folder for notes, the lease in seconds, the number of submitters, and by how many
seconds the machine's clock is wrong. Notes: `acknowledged` has a line for each task that a submit returned, with the
process, `executed` one for each start of a handler; see `noting`. Tasks of the type `held` end when there is a file
`go`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import trio

url, folder, lease, submitters, skew = sys.argv[1:6]
right = time.time
time.time = lambda: right() + float(skew)

import actors  # noqa: E402  # with the wrong clock
from actors import Settings, TaskContext, TaskEvent, TaskEventType, TaskRequest, TaskSystem, Ticket, errors  # noqa: E402
from tests.whole.programs.noting import executed, handlers, quick, slow, thread  # noqa: E402
from tests.whole.programs.telling import listen, note, say  # noqa: E402

settings = Settings(max_io_workers=4, max_coroutines=60, max_retries=0, lease_seconds=float(lease), grace_seconds=1)
app = TaskSystem(url, settings=settings)
app.include(handlers)


@app.task(timeout=None)
async def patient(context: TaskContext) -> int:
    """Ends when it runs for the second time."""
    executed(context)
    if context.attempt == 1:
        await trio.sleep_forever()
    return context.attempt


@app.task
async def held(context: TaskContext) -> int:
    executed(context)
    while not os.path.exists(f"{folder}/go"):  # noqa: ASYNC110, ASYNC240  # told from outside
        await trio.sleep(0.02)
    return context.attempt


@app.task
async def busy(context: TaskContext, seconds: float) -> int:
    executed(context)
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # no other task of this process runs meanwhile
        pass
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
        acknowledged(tickets)
        for ticket in tickets:
            await ticket.wait()


def acknowledged(tickets: Sequence[Ticket[Any]]) -> None:
    for ticket in tickets:
        note(f"{folder}/acknowledged", ticket.task_id, os.getpid())


async def submit(count: str, request: TaskRequest) -> None:
    """The same task *count* times."""
    acknowledged(await app.submit_many([request] * int(count)))
    say("submitted", count)


async def obey(order: str, *values: str) -> None:
    match order, *values:
        case ["quick", count]:
            await submit(count, quick.request())
        case ["slow", count, seconds]:
            await submit(count, slow.request(seconds=float(seconds)))
        case ["patient", count]:
            await submit(count, patient.request())
        case ["held", count]:
            await submit(count, held.request())
        case ["busy", seconds]:
            await submit("1", busy.request(seconds=float(seconds)))
        case ["count"]:
            say("running", app.metrics().running_tasks)
        case ["code"]:
            say("code", actors.__version__, actors.__file__)


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

"""Submits and runs without pause until it is killed, or with "drain" runs what is left and ends.

Arguments: the database's path, a folder for notes, "flood" or "drain". Notes: `acknowledged` has a line for each task
that a submit returned, `executed` one for each start of a handler; see `noting`.
"""

from __future__ import annotations

import sys
import time

import trio

from actors import Settings, TaskStatus, TaskSystem
from tests.whole.programs.noting import handlers, quick, slow, thread
from tests.whole.programs.telling import note, say

SUBMITTERS = 30
EACH = 5

path, folder, mode = sys.argv[1:4]
app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_io_workers=8, max_retries=0))
app.include(handlers)


async def submit_without_pause(number: int) -> None:
    """A few at once, then wait for them: what is unfinished stays bounded."""
    turn = 0
    while True:
        tickets = []
        for part in range(EACH):
            turn += 1
            seconds = 0.05 + turn * 0.037 % 0.25
            if part == 0:
                ticket = await slow.submit(seconds=seconds)
            elif part == 1 and turn % 20 == number % 20:
                ticket = await thread.submit(seconds=seconds)
            else:
                ticket = await quick.submit()
            note(f"{folder}/acknowledged", ticket.task_id)
            tickets.append(ticket)
        for ticket in tickets:
            await ticket.wait()


async def main() -> None:
    say("entering", time.monotonic())
    async with app.running(), trio.open_nursery() as nursery:
        say("running", time.monotonic())
        if mode == "flood":
            for number in range(SUBMITTERS):
                nursery.start_soon(submit_without_pause, number)
        else:
            for status in (TaskStatus.PENDING, TaskStatus.RUNNING):
                for task in await app.list(status=status, limit=1000):
                    await app.ticket(task.task_id).wait()
    say("ended")


trio.run(main)

"""A service as a user writes one: SIGTERM stops it in order, a second one ends the grace time.

Arguments: the database's path, the grace time in seconds, how many tasks to submit; with "mid-claim" it ends itself
by SIGTERM while a claim is being committed.
"""

from __future__ import annotations

import sys
import time

import trio

from actors import Settings, TaskContext, TaskEvent, TaskEventType, TaskSystem
from tests.whole.programs.telling import say
from tests.whole.programs.terminating import stop_on_sigterm, terminate_in_mid_claim

path, grace, amount, *rest = sys.argv[1:]
app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_io_workers=4))
started = 0


@app.task
async def work(context: TaskContext, number: int, seconds: float) -> int:
    """The first attempt takes as long as it was told to, later ones no time."""
    global started
    started += 1
    if started == int(amount):
        say("all-run")
    if context.attempt == 1:
        await trio.sleep(seconds)
    return number


def tell_of_returns(event: TaskEvent) -> None:
    if event.type is TaskEventType.RETURNED:
        say("returned", event.task_id)


async def main() -> None:
    if rest == ["mid-claim"]:
        terminate_in_mid_claim()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_sigterm, app, float(grace))
        app.on_event(tell_of_returns)
        async with trio.open_nursery() as service:
            await service.start(app.serve)
            await app.submit_many(work.request(number=number, seconds=60.0) for number in range(int(amount)))
            say("running")
        nursery.cancel_scope.cancel()
    say("ended", time.monotonic())


trio.run(main)

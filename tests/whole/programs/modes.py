"""A node with the same handler in every mode, that SIGTERM stops in order.

Arguments: the database's path, a folder for the handlers, the grace time in seconds, and what to do: the names of the
modes to submit a task in, "mid-claim" before them if SIGTERM is to come while these are claimed. It ends when all tasks
have ended, or when it was stopped. See `mode_bodies`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress

import trio

from actors import ExecutionMode, Settings, TaskContext, TaskEvent, TaskEventType, TaskRequest, TaskSystem
from actors.errors import NotRunning
from tests.waiting import until
from tests.whole.programs import mode_bodies
from tests.whole.programs.telling import say
from tests.whole.programs.terminating import stop_on_sigterm, terminate_in_mid_claim

SLOTS = 2
TOLD = (TaskEventType.RECOVERED, TaskEventType.RETURNED, TaskEventType.FENCED, TaskEventType.STUCK)


async def of_trio(ctx: TaskContext, folder: str) -> int:
    mode_bodies.begin(ctx, folder)
    while not mode_bodies.may_end(ctx, folder):  # noqa: ASYNC110  # a file has no event
        await trio.sleep(mode_bodies.PAUSE)
    return ctx.attempt


async def of_asyncio(ctx: TaskContext, folder: str) -> int:
    mode_bodies.begin(ctx, folder)
    while not mode_bodies.may_end(ctx, folder):  # noqa: ASYNC110  # a file has no event
        await asyncio.sleep(mode_bodies.PAUSE)
    return ctx.attempt


BODIES = {
    "coroutine": of_trio,
    "asyncio": of_asyncio,
    "thread": mode_bodies.plain,
    "process": mode_bodies.plain,
}


def declared(path: str) -> TaskSystem:
    """A task system with a type for each mode, by its name."""
    settings = Settings(lease_seconds=1, max_coroutines=SLOTS, max_cpu_workers=SLOTS, max_io_workers=SLOTS)
    app = TaskSystem(f"sqlite:///{path}", settings=settings)
    for mode in mode_bodies.MODES:
        app.register_handler(mode, BODIES[mode], mode=ExecutionMode(mode))
    return app


def tell(event: TaskEvent) -> None:
    """What becomes of attempts that do not simply end."""
    if event.type in TOLD:
        say(event.type.value, event.task_type, event.attempt)


async def work(app: TaskSystem, folder: str, modes: list[str]) -> None:
    """Submit, and wait for all there is; every slot is free then."""
    with suppress(NotRunning):  # it was stopped meanwhile
        await app.submit_many(TaskRequest(mode, {"folder": folder}) for mode in modes)
        say("running", time.monotonic())
        for task in await app.list(limit=100):
            await app.ticket(task.task_id).wait()
        await until(lambda: not app.running_node.running.leased)
        lanes = app.metrics().lanes.values()
        say("whole", all((lane.running, lane.free, lane.stuck) == (0, lane.slots, 0) for lane in lanes))
        app.stop()


async def main() -> None:
    path, folder, grace, *rest = sys.argv[1:]
    app = declared(path)
    app.on_event(tell)
    if "mid-claim" in rest:
        terminate_in_mid_claim()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_sigterm, app, float(grace))
        say("entering", time.monotonic())
        async with trio.open_nursery() as service:
            await service.start(app.serve)
            service.start_soon(work, app, folder, [name for name in rest if name != "mid-claim"])
        nursery.cancel_scope.cancel()
    say("ended", time.monotonic())


if __name__ == "__main__":
    trio.run(main)

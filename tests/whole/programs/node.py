"""A working node that does what the test says, a line a time. Argument: the database's path.

`submit N`, `endless`, `fail` and `steps DELAY` answer `submitted ID`; `wait ID` answers `result VALUE`; `watch ID`
answers `watching`, and `heard EVENT` when there is one; `end` ends it in order.
"""

from __future__ import annotations

import sys
import time

import trio

from actors import Settings, TaskContext, TaskSystem, errors
from tests.whole.programs.telling import listen, say

app = TaskSystem(f"sqlite:///{sys.argv[1]}", settings=Settings(grace_seconds=0.5))


@app.task
async def double(context: TaskContext, number: int) -> int:
    say("started", context.task_id, time.monotonic())
    return 2 * number


@app.task
async def endless(context: TaskContext) -> None:
    say("started", context.task_id, time.monotonic())
    try:
        with context.until_stopping():
            await trio.sleep_forever()
    finally:
        say("stopped", context.task_id, time.monotonic())


@app.task
async def blocking(context: TaskContext) -> None:
    """Keeps the event loop from everything else until the test has seen enough."""
    say("blocked")
    listen()
    say("unblocked")


@app.task(max_retries=0)
async def fail() -> None:
    raise LookupError("no such page")


@app.task
async def steps(context: TaskContext) -> str:
    for step in range(10):
        context.progress(step / 10)
        await trio.sleep(0.1)
    return "all steps"


async def obey(order: str, *values: str) -> None:
    if order == "submit":
        say("submitted", (await double.submit(number=int(values[0]))).task_id)
    elif order == "endless":
        say("submitted", (await endless.submit()).task_id)
    elif order == "fail":
        say("submitted", (await fail.submit()).task_id)
    elif order == "steps":
        say("submitted", (await steps.options(delay=float(values[0])).submit()).task_id)
    elif order == "watch":
        async with app.ticket(values[0]).events() as receive:
            say("watching")
            say("heard", (await receive.receive()).type.value)
    elif order == "block":
        await (await blocking.submit()).result()
    elif order == "wait":
        say("result", await app.ticket(values[0]).result())


async def main() -> None:
    try:
        async with app.running():
            say("running")
            while (line := await trio.to_thread.run_sync(listen)) != "end":
                await obey(*line.split())
    except errors.DatabaseInUse as error:
        say("refused", error)


trio.run(main)

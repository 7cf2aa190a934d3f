"""A service with a task that takes long to clean up; a test sends it Ctrl-C. Arguments: the database's URL."""

from __future__ import annotations

import sys

import trio

from actors import Settings, TaskContext, TaskSystem

app = TaskSystem(sys.argv[1], settings=Settings(grace_seconds=60))


@app.task(timeout=None)
async def stubborn(ctx: TaskContext) -> None:
    """Takes a minute after it was told to stop."""
    print("running", flush=True)
    with ctx.until_stopping():
        await trio.sleep_forever()
    print(f"stopping: {ctx.stopping and ctx.stopping.name}", flush=True)
    await trio.sleep(60)


async def main() -> None:
    """Run until the interrupt."""
    async with app.running():
        ticket = await stubborn.submit()
        print(ticket.task_id, flush=True)
        await trio.sleep_forever()


trio.run(main)

"""A node whose process handlers compute, deaf to everything, each beside processes of its own.

Arguments: the database's path, a folder in which each handler says who they are, how many tasks, and how they compute:
in "python", or in a call into "c" that keeps the interpreter's lock.
"""

from __future__ import annotations

import sys

import trio

from actors import ExecutionMode, Settings, TaskSystem
from tests.execution.process_handlers import compute_with_a_family, loop_with_a_family
from tests.whole.programs.telling import say

WAYS = {"python": loop_with_a_family, "c": compute_with_a_family}


async def main() -> None:
    path, folder, amount, way = sys.argv[1:]
    app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_cpu_workers=int(amount)))
    work = app.register_handler("work", WAYS[way], mode=ExecutionMode.PROCESS)
    async with app.running():
        for number in range(int(amount)):
            await work.submit(path=f"{folder}/{number}")
        say("submitted")
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)

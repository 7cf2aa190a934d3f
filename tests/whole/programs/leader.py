"""A working node that does its housekeeping five times a second. Arguments: the database's URL, a folder, and a word.

With the word "waits" it says `leading` when it leads for the first time, and then keeps its transaction open until
there is a file `go` in the folder.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import trio

from actors import Settings, TaskSystem
from actors.store import cleanup
from actors.system import monitor
from tests.whole.programs.telling import listen, say

url, folder, word = sys.argv[1:4]
clean = cleanup.cleanup
led: list[bool] = []
monitor.CLEAN_FIRST_AFTER, monitor.CLEAN_EVERY = 0.1, 0.2  # type: ignore[misc]  # a minute and an hour


def lead(*values: Any) -> int:
    if word == "waits" and not led:
        led.append(True)
        say("leading")
        while not os.path.exists(f"{folder}/go"):
            time.sleep(0.01)
    return clean(*values)


cleanup.cleanup = lead  # type: ignore[assignment]  # it takes what that takes


async def main() -> None:
    app = TaskSystem(url, settings=Settings(lease_seconds=1.0))
    async with app.running():
        say("ready")
        await trio.to_thread.run_sync(listen)


trio.run(main)

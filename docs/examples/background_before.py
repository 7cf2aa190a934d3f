"""Sign-ups that are welcomed in the background, by FastAPI's own BackgroundTasks: a crash forgets whom.

BIND is where it listens (127.0.0.1:8000), OUTBOX the file that stands for the mail server.
"""

from __future__ import annotations

import os
import signal

import trio
from fastapi import BackgroundTasks, FastAPI
from hypercorn.config import Config
from hypercorn.trio import serve

web = FastAPI()


async def welcome(name: str) -> None:
    """Send a mail, in a while."""
    await trio.sleep(1)
    async with await trio.open_file(os.environ.get("OUTBOX", "outbox.txt"), "a") as outbox:
        await outbox.write(f"welcome, {name}\n")


@web.post("/signup/{name}")
async def sign_up(name: str, background: BackgroundTasks) -> str:
    """Answer at once; the mail comes later."""
    background.add_task(welcome, name)
    return "ok"


async def interrupted() -> None:
    """Wait for the first Ctrl-C or SIGTERM."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def main() -> None:
    """Serve until interrupted."""
    config = Config()
    config.bind = [os.environ.get("BIND", "127.0.0.1:8000")]
    await serve(web, config, shutdown_trigger=interrupted)  # type: ignore[arg-type]  # FastAPI is an ASGI app


if __name__ == "__main__":
    trio.run(main)

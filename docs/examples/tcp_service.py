"""A plain trio TCP server: each line that it receives becomes a task, and is answered with the task's id.

    python tcp_service.py

PORT is where it listens (4000), DATABASE_URL where its tasks are kept (sqlite:///actors.db).
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from functools import partial

import trio

from actors import TaskSystem

LONGEST_LINE = 10_000

tasks = TaskSystem()


@tasks.task
async def measure(line: str) -> int:
    """Stands for work that takes a while."""
    await trio.sleep(0.5)
    return len(line)


async def lines(stream: trio.SocketStream) -> AsyncIterator[str]:
    """The lines of *stream*, without their ends; one that is too long, or is no UTF-8, ends them."""
    unread = b""
    async for data in stream:
        *complete, unread = (unread + data).split(b"\n")
        for line in complete:
            yield line.decode()
        if len(unread) > LONGEST_LINE:
            raise ValueError("a line is too long")


async def talk(stream: trio.SocketStream) -> None:
    """Answer every line with the id of its task, which is stored by then."""
    try:
        async for line in lines(stream):
            ticket = await measure.submit(line=line)
            await stream.send_all(f"{ticket.task_id}\n".encode())
    except (ValueError, trio.BrokenResourceError) as error:
        print(f"a connection was closed: {error}", flush=True)


async def interrupted() -> None:
    """Wait for the first Ctrl-C or SIGTERM; a second Ctrl-C is Python's own again, and cuts the tasks' grace time."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def main() -> None:
    """Serve until interrupted. The server stops first, the tasks after it."""
    port = int(os.environ.get("PORT", "4000"))
    async with tasks.running(), trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, talk, port, host="127.0.0.1"))
        print(f"listening on port {listeners[0].socket.getsockname()[1]}", flush=True)
        await interrupted()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)

"""A working node in a process of its own: ``python -m bench.node URL``.

It says ``ready`` when it is idle and hears what others do, and ends in order when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import trio

from bench.service import system


@contextmanager
def nodes(url: str, count: int) -> Iterator[None]:
    """*count* of them, ready; they are gone on leaving, or when this process is.

    Raises:
        RuntimeError: one of them ended instead.
    """
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.node", url]
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(count)
        ]
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"a node ended with exit code {process.wait()}")
        yield


async def work(url: str) -> None:
    """Be such a node."""
    app, _ = system(url)
    async with app.running():
        while not app.metrics().notifications:  # noqa: ASYNC110  # there is no event for it
            await trio.sleep(0.01)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(work, sys.argv[1])

"""The examples as real processes: started, talked to, interrupted, killed, and gone afterwards."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors import Task, TaskSystem
from tests.environment import untraced

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
READY = re.compile(r"Running on http://127\.0\.0\.1:(\d+)|listening on port (\d+)")


class Service:
    """An example that runs.

    Attributes:
        port: where it listens on this machine.
        said: what it has written so far.
    """

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.port = 0
        self.said = ""
        self._ready = trio.Event()
        self._silent = trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Take in what it writes, until it has ended."""
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            self.said += data.decode()
            if (found := READY.search(self.said)) and not self._ready.is_set():
                self.port = int(found[1] or found[2])
                self._ready.set()
        self._silent.set()
        self._ready.set()

    async def ready(self) -> None:
        """Wait until it listens."""
        with trio.fail_after(30):
            await self._ready.wait()
        assert self.port, self.said

    async def ended(self, within: float = 15.0) -> int:
        """Its exit code, or minus the signal that ended it."""
        with trio.fail_after(within):
            code = await self.process.wait()
            await self._silent.wait()
        return code

    async def interrupt(self, within: float = 15.0) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return await self.ended(within)

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        assert await self.ended() == -signal.SIGKILL, self.said

    async def refuses(self) -> None:
        """Wait until it takes no more connections."""

        async def refused() -> bool:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", self.port)).aclose()
            except OSError:
                return True
            return False

        await eventually(refused)


@asynccontextmanager
async def serving(command: Sequence[str], **environment: str) -> AsyncIterator[Service]:
    """Run *command* among the examples while the block runs; it listens on a port that was free."""
    process = await trio.lowlevel.open_process(
        [sys.executable, *command], stdout=-1, stderr=-2, cwd=EXAMPLES, start_new_session=True,
        env=untraced(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1", BIND="127.0.0.1:0", PORT="0", **environment),
    )  # fmt: skip
    service = Service(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.listen)
        try:
            await service.ready()
            yield service
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: what it has started goes too
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await process.wait()


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    """Wait for what another process brings about."""
    with trio.fail_after(within):
        while not await condition():  # noqa: ASYNC110  # it cannot tell us
            await trio.sleep(0.01)


async def stored(url: str) -> list[Task]:
    """The tasks in the database, oldest first."""
    look = TaskSystem(url)
    async with look.running(work=False):
        return await look.list(order="oldest", limit=1000)

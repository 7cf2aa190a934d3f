"""Waiting for what the test cannot be told of. A loop of bare checkpoints would hold the lock that threads wait for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio


async def until(condition: Callable[[], bool], within: float = 60.0) -> float:
    """Wait for what this process will bring about; the seconds that it took."""
    began = time.monotonic()
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # it may be anything, the rows in the file among them
            await trio.sleep(0.002)
    return time.monotonic() - began


class Lateness:
    """How late the machine wakes whoever sleeps, at worst. It is not what these tests are about."""

    def __init__(self) -> None:
        self.worst = 0.0

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure while the block runs."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._measure)
            yield
            nursery.cancel_scope.cancel()

    async def _measure(self) -> None:
        while True:
            wake_at = trio.current_time() + 0.01
            await trio.sleep_until(wake_at)
            self.worst = max(self.worst, trio.current_time() - wake_at)

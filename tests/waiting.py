"""Waiting for what the test cannot be told of. A loop of bare checkpoints would hold the lock that threads wait for."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

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


class Slowness:
    """How many times longer than alone a piece of work takes, since others want the processors too; at least once.

    For bounds on what another process does: it has no more of them than this one.
    """

    WORK_SECONDS = 0.005

    def __init__(self) -> None:
        self._found = [1.0]
        self._over = threading.Event()

    @property
    def factor(self) -> float:
        return statistics.mean(self._found)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure while the block runs."""
        thread = threading.Thread(target=self._measure, name="slowness")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _measure(self) -> None:
        while not self._over.wait(0.1):
            began, worked = time.perf_counter(), time.thread_time()
            while time.thread_time() - worked < self.WORK_SECONDS:
                pass
            self._found.append((time.perf_counter() - began) / (time.thread_time() - worked))

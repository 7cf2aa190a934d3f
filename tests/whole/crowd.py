"""A task system in this process, with tasks that run until they are let go."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors import RetryPolicy, Settings, TaskContext, TaskEventType, TaskSystem, Ticket
from tests.waiting import until
from tests.whole.table import Tables

THREADS = 40
LONGEST = 25.0


class Crowd:
    """Task types: `gated` and `gated_thread` wait for `open`, `endless` for ever; `quick`; `fails_once`."""

    def __init__(self, tables: Tables, grace: float = 5.0) -> None:
        self.tables = tables
        self.app = TaskSystem(tables.url, settings=Settings(max_io_workers=THREADS, grace_seconds=grace))
        self.gate = trio.Event()
        self.thread_gate = threading.Event()
        self.runs: list[tuple[str, int]] = []
        self.events: Counter[TaskEventType] = Counter()
        self.app.on_event(lambda event: self.events.update([event.type]))  # or the Monitor would have little to do
        self.gated = self.app.register_handler("gated", self._gated, timeout=60)
        self.gated_thread = self.app.register_handler("gated_thread", self._gated_thread, timeout=60)
        self.quick = self.app.register_handler("quick", self._quick)
        self.endless = self.app.register_handler("endless", self._endless)
        policy = RetryPolicy(base_delay=0.01, jitter=False)
        self.fails_once = self.app.register_handler("fails_once", self._fails_once, retry=policy)

    async def _gated(self, context: TaskContext, number: int) -> int:
        self.runs.append((context.task_id, context.attempt))
        await self.gate.wait()
        return number

    def _gated_thread(self, context: TaskContext, number: int) -> int:
        self.runs.append((context.task_id, context.attempt))
        self.thread_gate.wait(30)
        return number

    async def _quick(self, context: TaskContext, number: int) -> int:
        self.runs.append((context.task_id, context.attempt))
        return number

    async def _endless(self, number: int) -> None:
        await trio.sleep_forever()

    async def _fails_once(self, context: TaskContext, number: int) -> int:
        self.runs.append((context.task_id, context.attempt))
        if context.retry_count == 0:
            raise ValueError("the first time it fails")
        return number

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TaskSystem]:
        """Run the task system; a test that waits for too long fails by itself, and leaves nothing behind."""
        with trio.fail_after(LONGEST):
            async with self.app.running() as app:
                yield app

    async def fill(self, tasks: int = 200) -> list[Ticket[object]]:
        """Submit *tasks* that run until `open`, and wait until all of them run."""
        threads = min(THREADS, tasks // 5)
        requests = [self.gated.request(number=number) for number in range(tasks - threads)]
        requests += [self.gated_thread.request(number=number) for number in range(threads)]
        tickets = await self.app.submit_many(requests)
        await until(lambda: len(self.runs) == tasks)
        assert self.app.metrics().running_tasks == tasks
        return tickets

    def open(self) -> None:
        """Let all that wait come to their end."""
        self.gate.set()
        self.thread_gate.set()

    def assert_whole(self) -> None:
        """No slot, no lease and no message is left over, though all work is done."""
        for name, lane in self.app.metrics().lanes.items():
            assert (lane.running, lane.free, lane.stuck) == (0, lane.slots, 0), name
        assert not self.app.running_node.running.leased

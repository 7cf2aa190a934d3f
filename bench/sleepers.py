"""Ten thousand coroutines asleep at once: what each of them holds, and how late their soft timeouts come.

The same is done with bare trio tasks, each of which sleeps in a cancel scope with a deadline, as a handler does in
`ctx.until_stopping()`. Each kind has a process of its own, so that neither finds memory that the other has let go.

What a task holds is how much the resident memory of its process grows until all are asleep; with ours that includes
what storing and claiming them has left behind, in a node that has run a few before. The system's own share is the
difference. How late a timeout is, is told by the task that it wakes: ours look at `ctx.soft_deadline`, so that the way
from the Timeout actor to the handler is included.

A full garbage collection, which stops everything in the process, comes when Python thinks that enough is new. Both
kinds have one before the first timeout, and hardly any before the last; how long it takes is told.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import attrs
import psutil
import trio
import trio.testing

from actors import Settings, TaskContext, TaskSystem
from bench.goals import Goal
from bench.service import scratch, settled

SLEEPERS = 10_000
NIGHTS = 3
AT_ONCE = 500
"""Stored in one transaction."""
NIGHT = 3600.0
FIRST, SPREAD = 20.0, 10.0
"""Seconds until the first timeout, by when all must be asleep, and from there to the last."""
GOALS = {"own_kb": Goal(at_most=12), "latest_ms": Goal(at_most=50)}


def run(scale: float = 1.0) -> dict[str, float]:
    """kB for each task, and ms of lateness and of a full collection: the medians of some nights."""
    nights = [_compared(scale) for _ in range(max(1, round(NIGHTS * scale)))]
    return {name: statistics.median(night[name] for night in nights) for name in nights[0]}


def _compared(scale: float) -> dict[str, float]:
    count, first, spread = max(100, round(SLEEPERS * scale)), max(5.0, FIRST * scale), SPREAD * scale
    bare = apart(bare_night, count, spread)
    with scratch() as folder:
        ours = apart(durable_night, folder / "tasks.db", count, first, spread)
    return {
        "own_kb": ours.kb_each - bare.kb_each,
        "bare_kb": bare.kb_each,
        "latest_ms": 1e3 * max(ours.late),
        "median_late_ms": 1e3 * statistics.median(ours.late),
        "bare_latest_ms": 1e3 * max(bare.late),
        "collection_ms": 1e3 * ours.collection,
        "bare_collection_ms": 1e3 * bare.collection,
    }


@attrs.frozen
class Night:
    """What was seen of sleepers.

    Attributes:
        kb_each: the growth of resident memory for each of them.
        collection: seconds of a full garbage collection while all were asleep.
        late: seconds by which each was woken too late.
    """

    kb_each: float
    collection: float
    late: list[float]


def apart(function: Callable[..., Night], *arguments: object) -> Night:
    """What *function* returns in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def bare_night(count: int, spread: float) -> Night:
    """*count* trio tasks, woken by the deadlines of scopes of their own."""
    late: list[float] = []

    async def sleep(until: float) -> None:
        with trio.CancelScope(deadline=until):
            await trio.sleep(NIGHT)
        late.append(trio.current_time() - until)

    async def sleep_all() -> Night:
        before = resident()
        async with trio.open_nursery() as nursery:
            first_at = trio.current_time() + FIRST / 5
            for number in range(count):
                nursery.start_soon(sleep, first_at + spread * number / count)
            await trio.testing.wait_all_tasks_blocked()
            grown, collection = resident() - before, collected()
        return Night(grown / count, collection, late)

    return trio.run(sleep_all)


def durable_night(path: Path, count: int, first: float, spread: float) -> Night:
    """*count* tasks of a task system, woken by their soft timeouts."""
    return trio.run(Dormitory(path, count).night, first, spread)


class Dormitory:
    """A node with room for *count* sleepers, and what they tell."""

    def __init__(self, path: Path, count: int) -> None:
        self.app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_coroutines=count))
        self.sleep = self.app.task(name="sleep", timeout=2 * NIGHT)(self._sleep)
        self.count = count
        self.begun = 0
        self.all_asleep, self.all_awake = trio.Event(), trio.Event()
        self.late: list[float] = []

    async def night(self, first: float, spread: float) -> Night:
        """Let all fall asleep within *first* seconds, and wake them in the *spread* seconds after that."""
        async with self.app.running():
            await self.app.submit_many(self.sleep.request(0) for _ in range(100))
            await settled(self.app, 100)
            self.begun, before = 0, resident()
            with trio.fail_after(first):
                await self._submit(trio.current_time() + first, spread)
                await self.all_asleep.wait()
                grown, collection = resident() - before, collected()
            await self.all_awake.wait()
        return Night(grown / self.count, collection, self.late)

    async def _submit(self, first_at: float, spread: float) -> None:
        for start in range(0, self.count, AT_ONCE):
            until_first = first_at - trio.current_time()
            numbers = range(start, min(start + AT_ONCE, self.count))
            limits = [until_first + spread * number / self.count for number in numbers]
            await self.app.submit_many(self.sleep.options(soft_timeout=limit).request(NIGHT) for limit in limits)

    async def _sleep(self, ctx: TaskContext, seconds: float) -> None:
        self.begun += 1
        if self.begun == self.count:
            self.all_asleep.set()
        with ctx.until_stopping():
            await trio.sleep(seconds)
        if ctx.soft_deadline is not None:
            self.late.append(time.time() - ctx.soft_deadline.timestamp())
            if len(self.late) == self.count:
                self.all_awake.set()


def resident() -> float:
    """This process's resident memory in kB."""
    return float(psutil.Process().memory_info().rss) / 1e3


def collected() -> float:
    """Seconds that a full garbage collection takes."""
    start = time.perf_counter()
    gc.collect()
    return time.perf_counter() - start

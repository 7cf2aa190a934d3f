"""Tiny tasks in processes when there are many of them, so that they travel to a child several at a time.

`together_us` is what one call comes to when 64 attempts wait for one child at any time. It is compared with
`best_peer_us`, the better of the pools of `bench.process`: one warm round trip of the same call after the other, at the
same level (see `bench.trips`), in turns. So the ratio of the two is that of the throughputs, turned round. It wants a
machine with nothing else to do: what keeps a CPU busy shares it with others, while a round trip mostly waits. So
`together_cpu_us` is told too, what this process works for each call, beside `round_trip_cpu_us`, for one at a time.

`durable_…_per_second` are whole: a backlog of the same tasks in a file, from the start of the node to the last outcome
stored, with two children. For the second of them the type is never taken for small, so that each task has a slot of its
own, and is claimed when one is free. Children are not replaced in between, as by default they would be after 100 tasks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import trio

from actors import ExecutionMode, Settings, TaskRequest, TaskSystem
from actors.declare import Declaration, TaskOptions
from actors.execution.process.pace import Pace
from actors.execution.process.pool import Pool
from bench.goals import Goal
from bench.process import executors, trio_parallels
from bench.service import scratch, settled
from bench.trips import MOST, RoundTrip, attempts, double, medians

AT_ONCE = 64
TURNS = 0.04
"""Of what `bench.trips` does in its turns: each of them is `MOST` calls here."""
BACKLOG = 5000
GOALS = {
    "together_us": Goal(at_most=1 / 3, of="best_peer_us"),
    "durable_per_second": Goal(at_least=3.0, of="durable_alone_per_second"),
}


def run(scale: float = 1.0) -> dict[str, float]:
    """Microseconds of a call, the medians; and durable tasks a second."""
    figures, count = trio.run(measure, scale * TURNS), max(200, round(BACKLOG * scale))
    with scratch() as folder:
        figures["durable_per_second"] = trio.run(durable, folder / "together.db", count)
        with alone():
            figures["durable_alone_per_second"] = trio.run(durable, folder / "alone.db", max(50, count // 10))
    return figures


async def measure(scale: float) -> dict[str, float]:
    handler = Declaration("double", double, TaskOptions(mode=ExecutionMode.PROCESS)).handler()
    pool = Pool({"double": handler}, 1, 1_000_000)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        async with pool.running():
            one = attempts(handler, pool, trio.CapacityLimiter(1))
            peers = {"executor_us": executors(executor), **trio_parallels()}
            figures = await medians({"round_trip_us": one, **peers, "together_us": together(one)}, scale)
            figures["together_cpu_us"] = await cpu_us(together(one), 4) / MOST
            figures["round_trip_cpu_us"] = await cpu_us(one, MOST)
    best = min(figures[name] for name in peers)
    return {**figures, "together_us": figures["together_us"] / MOST, "best_peer_us": best}


async def cpu_us(trip: RoundTrip, count: int) -> float:
    """Microseconds for which this process works, its children not counted, for each of *count* trips."""
    begun = time.process_time()
    for number in range(count):
        await trip(number)
    return 1e6 * (time.process_time() - begun) / count


def together(one: RoundTrip) -> RoundTrip:
    """`MOST` calls, of which as many as there are wait at any time."""

    async def trip(number: int) -> int:
        numbers = iter(range(MOST))

        async def one_after_the_other() -> None:
            for each in numbers:
                assert await one(each) == 2 * each

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(one_after_the_other)
        return 2 * number

    return trip


async def durable(path: Path, count: int) -> float:
    """Tasks a second of a backlog in a file."""
    app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_cpu_workers=2, max_tasks_per_child=1_000_000))
    app.register_handler("double", double, mode=ExecutionMode.PROCESS)
    async with app.running(work=False):
        await app.submit_many([TaskRequest("double", {"number": number}) for number in range(count)])
    start = time.perf_counter()
    async with app.running():
        await settled(app, count)
        return count / (time.perf_counter() - start)


@contextmanager
def alone() -> Iterator[None]:
    """In the block no type is small."""
    saw = Pace.saw
    Pace.saw = lambda *_: None  # type: ignore[method-assign]  # only a bench has a use for that
    try:
        yield
    finally:
        Pace.saw = saw  # type: ignore[method-assign]

"""One warm round trip to a child process, beside the two pools that a trio program would take otherwise; see `trips`.

Ours has its payload decoded and its result checked in the child. ProcessPoolExecutor is called as it would be from
asyncio or a thread: its future is waited for by blocking, which spares it a way into trio's loop.
"""

from __future__ import annotations

import importlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import trio

from actors import ExecutionMode
from actors.declare import Declaration, TaskOptions
from actors.execution.process.pool import Pool
from bench.goals import Goal
from bench.trips import RoundTrip, attempts, double, medians

GOALS = {"round_trip_us": Goal(at_most=1.0, of="best_peer_us")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Microseconds of the median round trip of each."""
    return trio.run(measure, scale)


async def measure(scale: float) -> dict[str, float]:
    handler = Declaration("double", double, TaskOptions(mode=ExecutionMode.PROCESS)).handler()
    pool = Pool({"double": handler}, 1, 1_000_000)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        async with pool.running():
            peers = {"executor_us": executors(executor), **trio_parallels()}
            figures = await medians({"round_trip_us": attempts(handler, pool, trio.CapacityLimiter(1)), **peers}, scale)
    return {**figures, "best_peer_us": min(figures[name] for name in peers)}


def executors(executor: ProcessPoolExecutor) -> RoundTrip:
    """A call in a ProcessPoolExecutor."""

    async def trip(number: int) -> int:
        return executor.submit(double, number).result()

    return trip


def trio_parallels() -> dict[str, RoundTrip]:
    """A call in trio-parallel, if it is installed: extra `bench`."""
    try:
        trio_parallel: Any = importlib.import_module("trio_parallel")
    except ModuleNotFoundError:
        return {}

    async def trip(number: int) -> object:
        found: object = await trio_parallel.run_sync(double, number)
        return found

    return {"trio_parallel_us": trip}

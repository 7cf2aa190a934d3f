"""One warm round trip to a child process, beside the two pools that a trio program would take otherwise.

All three call the same function with the same argument, one call after the other, from the same event loop, in turns.
What is measured of ours is an attempt: its payload is decoded and its result checked in the child, and a stop would
reach it; the database has no part in it, since the others have none. ProcessPoolExecutor is called as it would be from
asyncio or a thread: its future is waited for by blocking, which spares it a way into trio's loop.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import trio

from actors import ExecutionMode
from actors.core.outcome import Finished
from actors.core.request import Claimed
from actors.declare import Declaration, TaskOptions
from actors.execution.attempt import Attempt
from actors.execution.handler import Handler
from actors.execution.hooks import AttemptHooks
from actors.execution.pool import Pool
from actors.execution.surroundings import Surroundings
from bench.goals import Goal

ROUNDS = 10
EACH = 500
WARM_UP = 50
TASK_ID = "01a200fb-9be6-7158-a678-ce68c91507a2"
GOALS = {"round_trip_us": Goal(at_most=1.0, of="best_peer_us")}

RoundTrip = Callable[[int], Awaitable[object]]


def double(number: int) -> int:
    """The work: next to none."""
    return 2 * number


def run(scale: float = 1.0) -> dict[str, float]:
    """Microseconds of the median round trip of each."""
    return trio.run(measure, max(20, round(EACH * scale)))


async def measure(each: int) -> dict[str, float]:
    """Let them take turns, so that whatever else the machine does strikes all of them."""
    declaration = Declaration("double", double, TaskOptions(mode=ExecutionMode.PROCESS))
    handler, times = declaration.handler(), dict[str, list[float]]()
    pool = Pool({"double": handler}, 1, 1_000_000)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        async with pool.running():
            trips = {"round_trip_us": ours(handler, pool), "executor_us": executors(executor), **peers()}
            for name, trip in trips.items():
                await timed(trip, WARM_UP)
                times[name] = []
            for _ in range(ROUNDS):
                for name, trip in trips.items():
                    times[name] += await timed(trip, each)
    medians = {name: 1e6 * statistics.median(values) for name, values in times.items()}
    return {**medians, "best_peer_us": min(value for name, value in medians.items() if name != "round_trip_us")}


async def timed(trip: RoundTrip, count: int) -> list[float]:
    """Seconds of each of *count* round trips."""
    times = []
    for number in range(count):
        start = time.perf_counter()
        assert await trip(number) == 2 * number
        times.append(time.perf_counter() - start)
    return times


def ours(handler: Handler, pool: Pool) -> RoundTrip:
    """An attempt in a child of *pool*."""
    limiter = trio.CapacityLimiter(1)
    surroundings = Surroundings(time.time, lambda *_: None, never, lambda _: None, AttemptHooks(), pool)

    async def trip(number: int) -> int:
        task = Claimed(
            1, TASK_ID, "double", "process", "process", 5, f'{{"number":{number}}}', None,
            0.0, 0.0, 0.0, 1, 0, 0, 0, 3, None, None, "pending", 0,
        )  # fmt: skip
        outcome = await Attempt(task, handler, limiter, surroundings).run()
        assert isinstance(outcome, Finished)
        return int(outcome.result)

    return trip


def never(_: object) -> Any:
    """No handler here submits anything."""
    raise NotImplementedError


def executors(executor: ProcessPoolExecutor) -> RoundTrip:
    """A call in a ProcessPoolExecutor."""

    async def trip(number: int) -> int:
        return executor.submit(double, number).result()

    return trip


def peers() -> dict[str, RoundTrip]:
    """trio-parallel, if it is installed: extra `bench`."""
    try:
        trio_parallel: Any = importlib.import_module("trio_parallel")
    except ModuleNotFoundError:
        return {}

    async def trip(number: int) -> object:
        found: object = await trio_parallel.run_sync(double, number)
        return found

    return {"trio_parallel_us": trip}

"""One call in a thread, as an attempt of ours and as a bare `trio.to_thread.run_sync`: see `bench.trips`.

The bare call leaves its thread behind when it is cancelled, as ours does, and takes its place in a limiter of its own.
It is told its argument, where ours reads it from the payload, and what it returns is not checked.
"""

from __future__ import annotations

import trio

from actors import ExecutionMode
from actors.declare import Declaration, TaskOptions
from actors.execution.process.pool import Pool
from bench.goals import Goal
from bench.trips import RoundTrip, attempts, double, medians

GOALS = {"round_trip_us": Goal(at_most=1.5, of="bare_us")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Microseconds of the median round trip of each."""
    return trio.run(measure, scale)


async def measure(scale: float) -> dict[str, float]:
    handler = Declaration("double", double, TaskOptions(mode=ExecutionMode.THREAD)).handler()
    pool = Pool({}, 0, 1)
    return await medians(
        {"round_trip_us": attempts(handler, pool, trio.CapacityLimiter(1)), "bare_us": bare(trio.CapacityLimiter(1))},
        scale,
    )


def bare(limiter: trio.CapacityLimiter) -> RoundTrip:
    """A call in a thread of trio's."""

    async def trip(number: int) -> int:
        return await trio.to_thread.run_sync(double, number, abandon_on_cancel=True, limiter=limiter)

    return trip

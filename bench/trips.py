"""Round trips of one call, side by side: an attempt of ours, and what a trio program would call instead.

They take turns, so that whatever else the machine does strikes all of them. What is measured of ours is an attempt of a
task that has been claimed: its payload is decoded and its result checked, and a stop would reach it. The database has
no part in it, since the others have none.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from actors.core.outcome import Finished
from actors.core.request import Claimed
from actors.execution.attempt import Attempt, Instant
from actors.execution.handler import Handler
from actors.execution.hooks import AttemptHooks
from actors.execution.process.pool import Pool
from actors.execution.surroundings import Surroundings

ROUNDS = 10
MOST = 500
"""Round trips in one turn."""
WARM_UP = 50
TASK_ID = "01a200fb-9be6-7158-a678-ce68c91507a2"

RoundTrip = Callable[[int], Awaitable[object]]
"""Doubles a number below `MOST`."""


def double(number: int) -> int:
    """The work: next to none."""
    return 2 * number


async def medians(trips: Mapping[str, RoundTrip], scale: float) -> dict[str, float]:
    """Microseconds of the median round trip, of *scale* times `MOST` in each of `ROUNDS` turns."""
    each = max(20, round(MOST * scale))
    times = dict[str, list[float]]()
    for name, trip in trips.items():
        await timed(trip, WARM_UP)
        times[name] = []
    for _ in range(ROUNDS):
        for name, trip in trips.items():
            times[name] += await timed(trip, each)
    return {name: 1e6 * statistics.median(values) for name, values in times.items()}


async def timed(trip: RoundTrip, count: int) -> list[float]:
    """Seconds of each of *count* round trips."""
    times = []
    for number in range(count):
        start = time.perf_counter()
        assert await trip(number) == 2 * number
        times.append(time.perf_counter() - start)
    return times


def attempts(handler: Handler, pool: Pool, limiter: trio.CapacityLimiter) -> RoundTrip:
    """Attempts of *handler*, which is `double`."""
    surroundings = Surroundings(time.time, lambda *_: None, never, lambda _: None, AttemptHooks(), pool)
    tasks = [claimed(handler.mode.value, number) for number in range(MOST)]
    began = Instant(trio.current_time(), time.time())

    async def trip(number: int) -> int:
        outcome = await Attempt(tasks[number], handler, limiter, surroundings, began).run()
        assert isinstance(outcome, Finished)
        return int(outcome.result)

    return trip


def claimed(mode: str, number: int) -> Claimed:
    """A task as the claim gives it."""
    return Claimed(
        1, TASK_ID, "double", mode, mode, 5, f'{{"number":{number}}}', None,
        0.0, 0.0, 0.0, 1, 0, 0, 0, 3, None, None, "pending", 0,
    )  # fmt: skip


def never(_: object) -> Any:
    """No handler here submits anything."""
    raise NotImplementedError

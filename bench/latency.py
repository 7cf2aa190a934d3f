"""One caller alone: from submit to the result in hand, beside one raw commit."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import trio

from bench import raw
from bench.goals import Goal
from bench.service import scratch, system

ROUNDS = 5
GOALS = {"p50_seconds": Goal(at_most=5, of="raw_commit_seconds")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Seconds for the median and the slowest hundredth, and for the median insert and commit of bare sqlite3."""
    each = max(20, round(400 * scale))
    bare: list[float] = []
    ours: list[float] = []
    with scratch() as folder:
        for number in range(ROUNDS):
            bare.append(raw.single_commit_seconds(each, path=folder / f"raw{number}.db"))
            ours += trio.run(round_trips, folder / f"tasks{number}.db", each)
    ours.sort()
    return {
        "p50_seconds": ours[len(ours) // 2],
        "p99_seconds": ours[len(ours) * 99 // 100],
        "raw_commit_seconds": statistics.median(bare),
    }


async def round_trips(database: Path | str, count: int) -> list[float]:
    """Seconds of each of *count* round trips, one after the other."""
    app, nothing = system(database)
    times = []
    async with app.running():
        for number in range(count):
            start = time.perf_counter()
            ticket = await nothing.submit(number)
            await ticket.result()
            times.append(time.perf_counter() - start)
    return times

"""One caller alone: from submit to the result in hand, beside one raw commit."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import trio

from bench import raw
from bench.floor import Address, Floor, New
from bench.goals import Goal
from bench.service import files, system

ROUNDS = 5
GOALS = {"p50_seconds": Goal(at_most=5, of="raw_commit_seconds")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Seconds for the median and the slowest hundredth, and for the median insert and commit of bare sqlite3."""
    with files() as new:
        return compared(new, raw.FLOOR, scale)


def compared(new: New[Address], floor: Floor[Address, Any, Any], scale: float) -> dict[str, float]:
    """The figures of databases that *new* makes: round trips and single commits take turns."""
    each = max(20, round(400 * scale))
    bare: list[float] = []
    ours: list[float] = []
    for number in range(ROUNDS):
        bare.append(floor.single_commit_seconds(each, new(f"raw{number}")))
        ours += trio.run(round_trips, new(f"tasks{number}"), each)
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

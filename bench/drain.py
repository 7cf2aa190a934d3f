"""A backlog that a node finds when it starts: how fast it is worked off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import trio

from bench import raw
from bench.floor import Address, Floor, New
from bench.goals import Goal
from bench.service import files, settled, system

BACKLOG = 100_000
BATCH = 1000
GOALS = {"tasks_per_second": Goal(of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second, from the start of the node to the last outcome stored."""
    with files() as new:
        return compared(new, raw.FLOOR, scale)


def compared(new: New[Address], floor: Floor[Address, Any, Any], scale: float) -> dict[str, float]:
    """The rate on one of the databases that *new* makes, and that of the *floor* on another."""
    count = max(BATCH, round(BACKLOG * scale))
    tasks = new("tasks")
    trio.run(fill, tasks, count)
    bare = floor.rows_per_second(count, new("raw"))
    return {"tasks_per_second": trio.run(drain, tasks, count), "raw_rows_per_second": bare}


async def fill(database: Path | str, count: int) -> None:
    """Store *count* tasks from a node that only submits."""
    app, nothing = system(database)
    async with app.running(work=False):
        for start in range(0, count, BATCH):
            await app.submit_many(nothing.request(number) for number in range(start, min(count, start + BATCH)))


async def drain(database: Path | str, count: int) -> float:
    """Tasks a second."""
    app, _ = system(database)
    start = time.perf_counter()
    async with app.running():
        await settled(app, count)
        return count / (time.perf_counter() - start)

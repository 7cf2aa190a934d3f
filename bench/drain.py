"""A backlog that a node finds when it starts: how fast it is worked off."""

from __future__ import annotations

import time
from pathlib import Path

import trio

from bench import raw
from bench.goals import Goal
from bench.service import scratch, settled, system

BACKLOG = 100_000
BATCH = 1000
GOALS = {"tasks_per_second": Goal(of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second, from the start of the node to the last outcome stored."""
    count = max(BATCH, round(BACKLOG * scale))
    with scratch() as folder:
        trio.run(fill, folder / "tasks.db", count)
        bare = raw.rows_per_second(count, path=folder / "raw.db")
        return {
            "tasks_per_second": trio.run(drain, folder / "tasks.db", count),
            "raw_rows_per_second": bare,
        }


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

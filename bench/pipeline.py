"""The whole way of a task: 1,000 concurrent submitters, a no-op coroutine, a file database, FULL."""

from __future__ import annotations

import time
from pathlib import Path

import trio

from bench import raw
from bench.goals import Goal
from bench.service import scratch, settled, system

SUBMITTERS = 1000
ROUNDS = 3
GOALS = {"tasks_per_second": Goal(at_least=0.15, of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second from the first submit to the last outcome stored, beside the same rows through bare sqlite3.

    The two are measured in turn, and the medians are told.
    """
    each = max(1, round(20 * scale))
    ours, bare = [], []
    with scratch() as folder:
        for number in range(ROUNDS):
            bare.append(raw.rows_per_second(SUBMITTERS * each, path=folder / f"raw{number}.db"))
            ours.append(trio.run(pipeline, folder / f"tasks{number}.db", each))
    return {
        "tasks_per_second": sorted(ours)[ROUNDS // 2],
        "raw_rows_per_second": sorted(bare)[ROUNDS // 2],
    }


async def pipeline(database: Path | str, each: int) -> float:
    """Tasks a second, *each* of them from every submitter."""
    app, nothing = system(database)
    async with app.running():
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:

            async def submitter() -> None:
                for number in range(each):
                    await nothing.submit(number)

            for _ in range(SUBMITTERS):
                nursery.start_soon(submitter)
        await settled(app, SUBMITTERS * each)
        return SUBMITTERS * each / (time.perf_counter() - start)

"""The whole way of a task: 1,000 concurrent submitters, a no-op coroutine, a file database, FULL."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import trio

from bench import raw
from bench.floor import Address, Floor, New
from bench.goals import Goal
from bench.service import files, settled, system

SUBMITTERS = 1000
ROUNDS = 3
GOALS = {"tasks_per_second": Goal(at_least=0.15, of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second from the first submit to the last outcome stored, beside the same rows through bare sqlite3.

    The two are measured in turn, and the medians are told.
    """
    with files() as new:
        return compared(new, raw.FLOOR, scale, rounds=ROUNDS)


def compared(new: New[Address], floor: Floor[Address, Any, Any], scale: float, rounds: int) -> dict[str, float]:
    """The medians of *rounds*, each with two of the databases that *new* makes."""
    each = max(1, round(20 * scale))
    ours, bare = [], []
    for number in range(rounds):
        bare.append(floor.rows_per_second(SUBMITTERS * each, new(f"raw{number}")))
        ours.append(trio.run(pipeline, new(f"tasks{number}"), each))
    return {
        "tasks_per_second": sorted(ours)[rounds // 2],
        "raw_rows_per_second": sorted(bare)[rounds // 2],
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

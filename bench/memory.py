"""How much a node grows while a million tasks wait in its database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import trio

from bench.goals import Goal
from bench.service import scratch, system

WAITING = 1_000_000
FIRST = 20_000
BATCH = 1000
GOALS = {"rss_after_mb": Goal(at_most=1.1, of="rss_before_mb")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Resident memory after the first tasks were stored, and after all of them were; they are due tomorrow."""
    with scratch() as folder:
        before, after = trio.run(fill, folder / "tasks.db", max(2 * FIRST, round(WAITING * scale)))
    return {"rss_before_mb": before, "rss_after_mb": after}


async def fill(path: Path, count: int) -> tuple[float, float]:
    """Store *count* tasks in a working node."""
    app, nothing = system(path)
    later = nothing.options(run_at=datetime.now(UTC) + timedelta(days=1))
    async with app.running():
        before = 0.0
        for start in range(0, count, BATCH):
            await app.submit_many(later.request(number) for number in range(start, start + BATCH))
            if start + BATCH == FIRST:
                before = resident()
        assert await app.count() >= count
        return before, resident()


def resident() -> float:
    """This process's resident memory in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6

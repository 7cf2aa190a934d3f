"""What a table full of rows that cannot run costs the ones that can."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from actors.store.schema import task
from bench.drain import fill
from bench.floor import Address, New
from bench.goals import Goal
from bench.service import files, settled, system

ENDED, FUTURE, PAUSED = 1_000_000, 1_000_000, 300_000
COUNT = 20_000
ROUNDS = 5
DAY = 86_400.0
GOALS = {"full_per_second": Goal(at_least=0.9, of="empty_per_second")}

INSERT = f"""
INSERT INTO {task.name} (task_id, task_type, lane, mode, status, priority, nonce, input_data, created_at, due_at,
                         completed_at, max_retries, rank)
VALUES (?, ?, 'coroutine', 'coroutine', ?, 5, 0, '{{"number":1}}', ?, ?, ?, 3, ?)
"""


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks drained a second beside a million ended, a million future and 300,000 paused ones, and in an empty table.

    The paused ones are at the head of the lane, and of a type that this node knows. The two tables take turns; the
    medians are told.
    """
    with files() as new:
        return compared(new, crowd, scale)


def compared(new: New[Address], crowd: Callable[[Address, float], None], scale: float) -> dict[str, float]:
    """The medians on two of the databases that *new* makes; *crowd* puts into one of them what cannot run."""
    count = max(1000, round(COUNT * scale))
    figures: dict[str, list[float]] = {"empty": [], "full": []}
    tables = {name: new(f"{name}_table") for name in figures}
    for table in tables.values():
        trio.run(fill, table, 0)  # makes the tables
    crowd(tables["full"], scale)
    for number in range(ROUNDS):
        for name, table in tables.items():
            trio.run(fill, table, count)
            figures[name].append(trio.run(rate, table, (number + 1) * count, count))
    return {f"{name}_per_second": sorted(values)[ROUNDS // 2] for name, values in figures.items()}


def crowd(path: Path, scale: float) -> None:
    """Put the rows into the table that cannot run."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows(scale, time.time()))
    connection.execute("INSERT INTO actors_pause VALUES ('task_type', 'paused', 0)")
    connection.execute("COMMIT")
    connection.close()


def rows(scale: float, now: float) -> Iterator[tuple[object, ...]]:
    """Ended, future and paused tasks, from the oldest on."""
    for number in range(round(ENDED * scale)):
        yield f"ended{number:031d}", "nothing", "completed", now - DAY, now - DAY, now, None
    for number in range(round(FUTURE * scale)):
        yield f"future{number:030d}", "nothing", "pending", now, now + DAY + number, None, None
    for number in range(round(PAUSED * scale)):
        yield f"paused{number:030d}", "paused", "pending", now - DAY, now - DAY, None, now - 2 * DAY


async def rate(database: Path | str, completed: int, count: int) -> float:
    """Tasks a second, while *count* of them are worked off, until *completed* are."""
    app, _ = system(database)
    app.task(name="paused")(_never)
    start = time.perf_counter()
    async with app.running():
        await settled(app, completed)
        return count / (time.perf_counter() - start)


async def _never(number: int) -> None:
    raise AssertionError("a paused task was started")

"""`bench.drain` on PostgreSQL: a backlog that a node finds when it starts."""

from __future__ import annotations

import trio

from bench import pg_raw
from bench.drain import BACKLOG, BATCH, drain, fill
from bench.goals import Goal
from bench.postgres import server

GOALS = {"tasks_per_second": Goal(of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second, from the start of the node to the last outcome stored."""
    count = max(BATCH, round(BACKLOG * scale))
    with server() as postgres:
        tasks = postgres.database("tasks")
        trio.run(fill, tasks, count)
        bare = pg_raw.rows_per_second(count, url=postgres.database("raw"))
        return {"tasks_per_second": trio.run(drain, tasks, count), "raw_rows_per_second": bare}

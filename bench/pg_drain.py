"""`bench.drain` on PostgreSQL: a backlog that a node finds when it starts."""

from __future__ import annotations

from bench import pg_raw
from bench.drain import compared
from bench.goals import Goal
from bench.postgres import server

GOALS = {"tasks_per_second": Goal(of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second, from the start of the node to the last outcome stored."""
    with server() as postgres:
        return compared(postgres.database, pg_raw.FLOOR, scale)

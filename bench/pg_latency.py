"""`bench.latency` on PostgreSQL: one caller alone, from submit to the result in hand, beside one raw commit."""

from __future__ import annotations

from bench import pg_raw
from bench.goals import Goal
from bench.latency import compared
from bench.postgres import server

GOALS = {"p50_seconds": Goal(of="raw_commit_seconds")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Seconds for the median and the slowest hundredth, and for the median insert and commit of bare psycopg."""
    with server() as postgres:
        return compared(postgres.database, pg_raw.FLOOR, scale)

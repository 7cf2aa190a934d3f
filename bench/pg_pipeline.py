"""`bench.pipeline` on PostgreSQL, beside the same rows through bare psycopg, in batches of 500."""

from __future__ import annotations

from bench import pg_raw
from bench.goals import Goal
from bench.pipeline import compared
from bench.postgres import server

ROUNDS = 5
GOALS = {"tasks_per_second": Goal(at_least=0.4, of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second from the first submit to the last outcome stored; the two take turns, and the medians are told."""
    with server() as postgres:
        return compared(postgres.database, pg_raw.FLOOR, scale, rounds=ROUNDS)

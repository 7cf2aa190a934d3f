"""`bench.pipeline` on PostgreSQL, beside the same rows through bare psycopg, in batches of 500."""

from __future__ import annotations

import trio

from bench import pg_raw
from bench.goals import Goal
from bench.pipeline import SUBMITTERS, pipeline
from bench.postgres import server

ROUNDS = 5
GOALS = {"tasks_per_second": Goal(at_least=0.4, of="raw_rows_per_second")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second from the first submit to the last outcome stored; the two take turns, and the medians are told."""
    each = max(1, round(20 * scale))
    ours, bare = [], []
    with server() as postgres:
        for number in range(ROUNDS):
            bare.append(pg_raw.rows_per_second(SUBMITTERS * each, url=postgres.database(f"raw{number}")))
            ours.append(trio.run(pipeline, postgres.database(f"tasks{number}"), each))
    return {
        "tasks_per_second": sorted(ours)[ROUNDS // 2],
        "raw_rows_per_second": sorted(bare)[ROUNDS // 2],
    }

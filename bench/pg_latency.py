"""`bench.latency` on PostgreSQL: one caller alone, from submit to the result in hand, beside one raw commit."""

from __future__ import annotations

import statistics

import trio

from bench import pg_raw
from bench.goals import Goal
from bench.latency import ROUNDS, round_trips
from bench.postgres import server

GOALS = {"p50_seconds": Goal(of="raw_commit_seconds")}


def run(scale: float = 1.0) -> dict[str, float]:
    """Seconds for the median and the slowest hundredth, and for the median insert and commit of bare psycopg."""
    each = max(20, round(400 * scale))
    bare: list[float] = []
    ours: list[float] = []
    with server() as postgres:
        for number in range(ROUNDS):
            bare.append(pg_raw.single_commit_seconds(each, url=postgres.database(f"raw{number}")))
            ours += trio.run(round_trips, postgres.database(f"tasks{number}"), each)
    ours.sort()
    return {
        "p50_seconds": ours[len(ours) // 2],
        "p99_seconds": ours[len(ours) * 99 // 100],
        "raw_commit_seconds": statistics.median(bare),
    }

"""`bench.backlog` on PostgreSQL: what a table full of rows that cannot run costs the ones that can."""

from __future__ import annotations

import time
from typing import Any

from actors.store.schema import task
from bench.backlog import DAY, ENDED, FUTURE, PAUSED, compared
from bench.goals import Goal
from bench.postgres import connect, server

GOALS = {"full_per_second": Goal(at_least=0.9, of="empty_per_second")}

INSERT = f"""
INSERT INTO {task.name} (task_id, task_type, lane, mode, status, priority, nonce, input_data, created_at, due_at,
                         completed_at, max_retries, rank)
SELECT %(kind)s || lpad(number::text, 30, '0'), %(kind)s, 'coroutine', 'coroutine', %(status)s, 5, number,
       '{{"number":1}}', %(due)s::float8, %(due)s::float8 + number, %(ended)s::float8, 3, %(rank)s::float8
FROM generate_series(1, %(count)s::integer) AS number
"""


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks drained a second beside a million ended, a million future and 300,000 paused ones, and in an empty table.

    The paused ones are at the head of the lane, and of a type that this node knows. The two tables take turns; the
    medians are told.
    """
    with server() as postgres:
        return compared(postgres.database, crowd, scale)


def crowd(url: str, scale: float) -> None:
    """Put the rows into the table that cannot run."""
    now = time.time()
    kinds: list[dict[str, Any]] = [
        {"kind": "ended", "status": "completed", "due": now - DAY, "ended": now, "rank": None, "count": ENDED},
        {"kind": "future", "status": "pending", "due": now + DAY, "ended": None, "rank": None, "count": FUTURE},
        {
            "kind": "paused",
            "status": "pending",
            "due": now - DAY,
            "ended": None,
            "rank": now - 2 * DAY,
            "count": PAUSED,
        },
    ]
    with connect(url) as connection:
        for kind in kinds:
            connection.execute(INSERT, kind | {"count": round(kind["count"] * scale)})
        connection.execute("INSERT INTO actors_pause VALUES ('task_type', 'paused', 0)")
        connection.execute("VACUUM ANALYZE")  # as the server would within a minute

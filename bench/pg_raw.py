"""The floor on PostgreSQL: the same rows through bare psycopg, in arrays (see `bench.floor`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql

from actors.store.schema import task
from bench.floor import Floor, ddl
from bench.postgres import connect, server
from bench.raw import LANE, NODE, PAYLOAD, TASK_TYPE

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

INSERT = f"""
INSERT INTO {task.name} (task_id, task_type, lane, mode, status, priority, nonce, input_data, created_at, due_at,
                         max_retries, timeout_seconds, rank)
SELECT task_id, '{TASK_TYPE}', '{LANE}', 'coroutine', 'pending', 5, nonce, '{PAYLOAD}', now, now, 3, 300.0, now
FROM unnest(%s::text[], %s::bigint[], %s::float8[]) AS given (task_id, nonce, now)
ON CONFLICT DO NOTHING RETURNING task_id
"""
CLAIM = f"""
WITH picked AS MATERIALIZED (
    SELECT seq FROM {task.name} WHERE lane = '{LANE}' AND task_type = '{TASK_TYPE}' AND rank IS NOT NULL AND alone = 0
    ORDER BY rank, seq LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE {task.name} SET status = 'running', attempt = attempt + 1, node = '{NODE}', started_at = %s, rank = NULL
WHERE seq = ANY(ARRAY(SELECT seq FROM picked))
RETURNING seq, attempt, input_data
"""
COMPLETE = f"""
UPDATE {task.name} SET status = 'completed', result_data = 'null', completed_at = %s
FROM unnest(%s::bigint[], %s::integer[]) AS given (this, number)
WHERE seq = this AND attempt = number AND status = 'running'
RETURNING seq
"""


@contextmanager
def database(url: str) -> Iterator[Connection]:
    """A connection to a new database at *url* with the task table; every commit reaches the disk."""
    with connect(url) as connection:
        for statement in ddl(postgresql.dialect()):  # type: ignore[no-untyped-call]  # SQLAlchemy's own
            connection.execute(statement.encode())
        yield connection


def insert(connection: Connection, first: int, count: int) -> None:
    """Store *count* tasks in one transaction, numbered from *first*."""
    numbers = list(range(first, first + count))
    with connection.transaction():
        connection.execute(
            INSERT, ([f"{number:036d}" for number in numbers], numbers, [time.time()] * count)
        ).fetchall()


def claim(connection: Connection, count: int) -> list[tuple[Any, ...]]:
    """Take the next *count* tasks in one transaction: their seq, attempt and payload."""
    with connection.transaction():
        return connection.execute(CLAIM, (count, time.time())).fetchall()


def complete(connection: Connection, claimed: list[tuple[Any, ...]]) -> None:
    """End the *claimed* tasks in one transaction."""
    seqs, attempts = [row[0] for row in claimed], [row[1] for row in claimed]
    with connection.transaction():
        connection.execute(COMPLETE, (time.time(), seqs, attempts)).fetchall()


FLOOR = Floor(database, insert, claim, complete)


def run(scale: float = 1.0) -> dict[str, float]:
    """The floor that this machine gives."""
    with server() as postgres:
        return FLOOR.figures(postgres.database, scale)

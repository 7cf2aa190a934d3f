"""The floor on SQLite: the same rows through bare sqlite3 (see `bench.floor`)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.dialects import sqlite

from actors.store.schema import task
from bench.floor import Floor, ddl
from bench.service import files

LANE, TASK_TYPE, NODE = "coroutine", "bench.nothing", "bench"
PAYLOAD = '{"number":1,"text":"a short payload"}'

INSERT = f"""
INSERT INTO {task.name} (task_id, task_type, lane, mode, status, priority, nonce, input_data, created_at, due_at,
                         max_retries, timeout_seconds, rank)
VALUES (?, '{TASK_TYPE}', '{LANE}', 'coroutine', 'pending', 5, ?, '{PAYLOAD}', ?, ?, 3, 300.0, ?)
"""
CLAIM = f"""
UPDATE {task.name} SET status = 'running', attempt = attempt + 1, node = '{NODE}', started_at = ?, rank = NULL
WHERE seq IN (SELECT seq FROM {task.name} WHERE lane = '{LANE}' AND task_type = '{TASK_TYPE}'
              AND rank IS NOT NULL AND alone = 0 ORDER BY rank, seq LIMIT ?)
RETURNING seq, attempt, input_data
"""
COMPLETE = f"""
UPDATE {task.name} SET status = 'completed', result_data = 'null', completed_at = ?
WHERE seq = ? AND attempt = ? AND status = 'running'
"""


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A new database at *path* with the task table: WAL, and every commit reaches the disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        for statement in ddl(sqlite.dialect()):
            connection.execute(statement)
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, as the task system does it."""
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def insert(connection: sqlite3.Connection, first: int, count: int) -> None:
    """Store *count* tasks in one transaction, numbered from *first*."""
    now = time.time()
    rows = [(f"{number:036d}", number, now, now, now) for number in range(first, first + count)]
    with transaction(connection):
        connection.executemany(INSERT, rows)


def claim(connection: sqlite3.Connection, count: int) -> list[tuple[int, int, str]]:
    """Take the next *count* tasks in one transaction: their seq, attempt and payload."""
    with transaction(connection):
        return connection.execute(CLAIM, (time.time(), count)).fetchall()


def complete(connection: sqlite3.Connection, claimed: list[tuple[int, int, str]]) -> None:
    """End the *claimed* tasks in one transaction."""
    now = time.time()
    with transaction(connection):
        connection.executemany(COMPLETE, [(now, seq, attempt) for seq, attempt, _ in claimed])


FLOOR = Floor(database, insert, claim, complete)


def run(scale: float = 1.0) -> dict[str, float]:
    """The floor that this machine gives."""
    with files() as new:
        return FLOOR.figures(new, scale)

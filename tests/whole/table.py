"""What stands in the database, read past the task system."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

STATUSES = ("pending", "running", "retrying", "completed", "failed", "cancelled", "timeout")


class Tables(ABC):
    """The tables of the task system, seen from outside.

    Attributes:
        url: of the database.
    """

    url: str

    @abstractmethod
    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read, without leaving a trace."""

    def tasks(self, where: str = "1 = 1") -> dict[str, dict[str, Any]]:
        """The rows of tasks, by their id."""
        return {row["task_id"]: row for row in self.rows(f"SELECT * FROM actors_task WHERE {where}")}

    def attempts(self) -> dict[int, list[dict[str, Any]]]:
        """The attempts that were written down, by seq, oldest first."""
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows("SELECT * FROM actors_attempt ORDER BY seq, number"):
            found.setdefault(row["seq"], []).append(row)
        return found

    def by_status(self) -> dict[str, int]:
        """The real counts."""
        counts = Counter(row["status"] for row in self.rows("SELECT status FROM actors_task"))
        return {status: counts[status] for status in STATUSES}

    def counted_by_status(self) -> dict[str, int]:
        """The counters."""
        found = self.rows("SELECT name, sum(value) AS n FROM actors_counter WHERE width = 0 GROUP BY name")
        counts = {row["name"].removeprefix("status:"): row["n"] for row in found}
        return {status: counts.get(status, 0) for status in STATUSES}

    def assert_exact(self, **expected: int) -> None:
        """The counters are the real counts, which are *expected*; no state that is not named has any."""
        assert self.by_status() == dict.fromkeys(STATUSES, 0) | expected
        assert self.counted_by_status() == self.by_status()


class File(Tables):
    """A database file of the task system, seen from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    @contextmanager
    def _connection(self, how: str) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(f"file:{self.path}?mode={how}", uri=True, isolation_level=None, timeout=20)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read, without leaving a trace in the file."""
        with self._connection("ro") as connection:
            return [dict(row) for row in connection.execute(sql, values)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock while the block runs."""
        with self._connection("rw") as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def is_locked(self) -> bool:
        """Whether another process is in the midst of writing."""
        with self._connection("rw") as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False


class OnServer(Tables):
    """A database of the task system on a PostgreSQL server, on a connection of our own until `close`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read; or do what SQL says that returns rows."""
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.exec_driver_sql(sql, values).mappings()]

    def close(self) -> None:
        self._engine.dispose()


def result(row: dict[str, Any]) -> Any:
    """The value that a task's handler returned."""
    return json.loads(row["result_data"])

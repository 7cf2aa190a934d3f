"""The floor: what the task system's rows cost through a bare driver, with the project's own tables and durability.

Other workloads measure it between their own measurements, so that both meet the same noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, TypeVar

import attrs
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from actors.store.schema import task

Address = TypeVar("Address", bound=Path | str)
"""Of a database: a file's path, or a server's URL."""
Connection = TypeVar("Connection")
Claimed = TypeVar("Claimed")
New = Callable[[str], Address]
"""Makes a database, by a name that is its own: the address."""

BATCH = 500


@attrs.frozen
class Floor(Generic[Address, Connection, Claimed]):
    """What a bare driver does; the addresses are of databases that are empty.

    Attributes:
        database: connects to a database, and makes the task table; every commit reaches the disk.
        insert: stores so many tasks in one transaction, numbered from the first, which is given before.
        claim: takes the next so many tasks in one transaction.
        complete: ends what was claimed in one transaction.
    """

    database: Callable[[Address], AbstractContextManager[Connection]]
    insert: Callable[[Connection, int, int], None]
    claim: Callable[[Connection, int], Claimed]
    complete: Callable[[Connection, Claimed], None]

    def rows_per_second(self, n: int, address: Address, batch: int = BATCH) -> float:
        """How many tasks a second are inserted, claimed and completed, *batch* of them to a transaction; *n* in all."""
        with self.database(address) as connection:
            started = time.perf_counter()
            for first in range(0, n, batch):
                count = min(batch, n - first)
                self.insert(connection, first, count)
                self.complete(connection, self.claim(connection, count))
            return n / (time.perf_counter() - started)

    def single_commit_seconds(self, n: int, address: Address) -> float:
        """The median of *n* times that one insert and its commit took."""
        with self.database(address) as connection:
            return statistics.median(self._timed_insert(connection, number) for number in range(n))

    def _timed_insert(self, connection: Connection, number: int) -> float:
        started = time.perf_counter()
        self.insert(connection, number, 1)
        return time.perf_counter() - started

    def figures(self, new: New[Address], scale: float) -> dict[str, float]:
        """The floor that this machine gives: in batches, and one at a time."""
        return {
            "rows_per_second": self.rows_per_second(max(BATCH, int(50_000 * scale)), new("rows")),
            "single_commit_seconds": self.single_commit_seconds(max(50, int(2_000 * scale)), new("commits")),
        }


def ddl(dialect: Dialect) -> list[str]:
    """The statements that make the task table and its indexes."""
    indexes = sorted(task.indexes, key=lambda index: str(index.name))
    elements: list[ExecutableDDLElement] = [CreateTable(task), *map(CreateIndex, indexes)]
    return [str(element.compile(dialect=dialect)) for element in elements]

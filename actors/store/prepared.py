"""Statements compiled once, and run by the driver itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from . import ahead
from .bulk import Batch, made_over, too_large

Row = tuple[Any, ...]
Item = TypeVar("Item")
WORTH_A_SAVEPOINT: Final = 8
"""Rows: below that, running them one by one is cheaper than a batch with a savepoint around it."""


DRIVERS: Final = frozenset({"pysqlite", "psycopg"})
"""Whose cursors take what is compiled here. SQLAlchemy itself runs it for any other: a user's own, for an enqueue."""


class Prepared:
    """A statement compiled once per dialect, run by the driver itself with plain tuples.

    SQLAlchemy's own execution costs about 40 µs a statement and 10 µs a row; the hot ones cannot pay that.

    Args:
        build: makes the statement for a dialect; an INSERT without its values.
        names: the bind names, in the order in which callers give their values; of an INSERT, those of its columns.
        known: of an INSERT, the column that tells its rows apart, and the one that `fetch_each` is about.
    """

    def __init__(self, build: Callable[[Dialect], Executable], names: Sequence[str], known: Sequence[str] = ()) -> None:
        self._build = build
        self._names = list(names)
        self._known = known
        self._batches: dict[bool, Batch] = {}
        self._compiled: dict[tuple[str, bool], tuple[str, Callable[[Row], Row] | None]] = {}
        self._statements: dict[str, Executable] = {}

    def _for(self, dialect: Dialect, *, returning: bool = False) -> tuple[str, Callable[[Row], Row] | None]:
        """The statement, and what puts a row into its order; *returning*: with what is known of a row that took."""
        found = self._compiled.get((dialect.name, returning))
        if found is None:
            found = self._compiled[dialect.name, returning] = self._compile(dialect, returning=returning)
        return found

    def _compile(self, dialect: Dialect, *, returning: bool) -> tuple[str, Callable[[Row], Row] | None]:
        plain, statement = dialect, cast("Any", self._build(dialect))
        if dialect.name == "postgresql":
            plain = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        if returning:
            statement = statement.returning(*(statement.table.c[name] for name in self._known))
        compiled: Any = statement.compile(dialect=plain, column_keys=self._names)
        order = list(compiled.positiontup)
        if order == self._names:
            return str(compiled), None
        # What the statement itself supplies (an offset, a literal) stands behind the caller's values.
        given = [*self._names, *(name for name in order if name not in self._names)]
        constants = tuple(compiled.params[name] for name in given[len(self._names) :])
        pick: Callable[[Row], Row] = itemgetter(*(given.index(name) for name in order))
        return str(compiled), (lambda row: pick(row + constants)) if constants else pick

    def run(self, connection: Connection, row: Row) -> int:
        """Run it once; the number of table rows that were changed."""
        return int(self._execute(connection, row).rowcount)

    def run_many(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Run it for every row; the number of table rows that were changed."""
        if connection.dialect.driver not in DRIVERS:
            return sum(self.run(connection, row) for row in rows)
        if connection.dialect.driver == "psycopg":
            return self._run_batch(connection, list(rows))
        sql, reorder = self._for(connection.dialect)
        cursor = cursor_of(connection)
        with translating(connection, sql):
            cursor.executemany(sql, rows if reorder is None else map(reorder, rows))
        return int(cursor.rowcount)

    def run_each(self, connection: Connection, rows: Sequence[Row]) -> list[bool]:
        """Run it for every row, each of which changes one table row or none; which of them did.

        SQLite's driver tells only how many of a batch took. So a batch of which some did, and some did not, is undone
        and halved.
        """
        if connection.dialect.driver == "psycopg" and len(rows) > 1:
            return [found is not None for found in self.fetch_each(connection, rows)]
        if len(rows) < WORTH_A_SAVEPOINT or connection.dialect.driver not in DRIVERS:
            return [self.run(connection, row) > 0 for row in rows]
        cursor = cursor_of(connection)
        cursor.execute("SAVEPOINT actors_each")
        changed = self.run_many(connection, rows)
        mixed = 0 < changed < len(rows)
        if mixed:
            cursor.execute("ROLLBACK TO SAVEPOINT actors_each")
        cursor.execute("RELEASE SAVEPOINT actors_each")
        if not mixed:
            return [changed > 0] * len(rows)
        half = len(rows) // 2
        return self.run_each(connection, rows[:half]) + self.run_each(connection, rows[half:])

    def _run_batch(self, connection: Connection, rows: Sequence[Row]) -> int:
        if len(rows) < 2:
            return sum(self.run(connection, row) for row in rows)
        return sum(cursor.rowcount for _, cursor in self._at_once(connection, rows, returning=False))

    def fetch_each(self, connection: Connection, rows: Sequence[Row]) -> list[Any]:
        """Run it on PostgreSQL for every row; what is known of those that took, and None of the others."""
        if len(rows) == 1 and self._known:  # a batch of one takes the server twice as long
            return self._known_of(rows, self._execute(connection, rows[0], returning=True).fetchall())
        parts = self._at_once(connection, rows, returning=True) if rows else ()
        return [known for part, cursor in parts for known in self._known_of(part, cursor.fetchall())]

    def _known_of(self, rows: Sequence[Row], found: Sequence[Row]) -> list[Any]:
        """What *found* says of *rows*, by their places or by their keys; of those alike the first one took."""
        if not self._known:
            took = {rows[place - 1]: True for (place,) in found}
            return [took.pop(row, None) for row in rows]
        key = self._names.index(self._known[0])
        known = dict[Any, Any](found)
        return [known.pop(row[key], None) for row in rows]

    def _at_once(
        self, connection: Connection, rows: Sequence[Row], *, returning: bool
    ) -> Iterator[tuple[Sequence[Row], Any]]:
        """Run it on PostgreSQL for all *rows* in one statement, or in some if that is too large; parts and cursors."""
        batch = self._batch(connection, returning=returning)
        parameters = batch.parameters(rows)
        if len(rows) > 1 and too_large(parameters):
            half = len(rows) // 2
            yield from self._at_once(connection, rows[:half], returning=returning)
            yield from self._at_once(connection, rows[half:], returning=returning)
            return
        with translating(connection, batch.sql):
            cursor = cursor_of(connection)
            cursor.execute(batch.sql, parameters)
        yield rows, cursor

    def _batch(self, connection: Connection, *, returning: bool) -> Batch:
        batch = self._batches.get(returning)
        if batch is None:
            statement = self._build(connection.dialect)
            batch = self._batches[returning] = made_over(statement, self._names, self._known, returning=returning)
        return batch

    def put_off(self, connection: Connection, row: Row) -> None:
        """Run it once, on PostgreSQL along with what comes next: nobody needs to know what it came to."""
        waiting = ahead.of(connection)
        if waiting is None:
            self._execute(connection, row)
            return
        sql, reorder = self._for(connection.dialect)
        with translating(connection, sql):
            waiting.put(sql, row if reorder is None else reorder(row))

    def put_off_many(self, connection: Connection, rows: Sequence[Row]) -> None:
        """The same for every row."""
        waiting = ahead.of(connection)
        if waiting is None:
            self.run_many(connection, rows)
        elif len(rows) == 1:
            self.put_off(connection, rows[0])
        elif rows:
            batch = self._batch(connection, returning=False)
            with translating(connection, batch.sql):
                waiting.put(batch.sql, batch.parameters(rows))

    def fetch_along(self, connection: Connection, row: Row) -> list[Row]:
        """Run it once, on PostgreSQL together with what waits there, and return what it returns."""
        waiting = ahead.of(connection)
        if waiting is None:
            return self.fetch(connection, row)
        self.put_off(connection, row)
        with translating(connection, self._for(connection.dialect)[0]):
            found: list[Row] = waiting.send().fetchall()
        return found

    def fetch(self, connection: Connection, row: Row = ()) -> list[Row]:
        """Run it once and return what it returns."""
        found: list[Row] = self._execute(connection, row).fetchall()
        return found

    def _execute(self, connection: Connection, row: Row, *, returning: bool = False) -> Any:
        if connection.dialect.driver not in DRIVERS:
            return self._left_to_sqlalchemy(connection, row)
        sql, reorder = self._for(connection.dialect, returning=returning)
        with translating(connection, sql):
            cursor = cursor_of(connection)
            cursor.execute(sql, row if reorder is None else reorder(row))
        return cursor

    def _left_to_sqlalchemy(self, connection: Connection, row: Row) -> Any:
        name = connection.dialect.name
        if name not in self._statements:
            self._statements[name] = self._build(connection.dialect)
        return connection.execute(self._statements[name], dict(zip(self._names, row, strict=True)))


@contextmanager
def translating(connection: Connection, sql: str) -> Iterator[None]:
    """Raise what the driver raises as SQLAlchemy does."""
    try:
        yield
    except Exception as error:
        raise _translated(connection, sql, error) from error


def _translated(connection: Connection, sql: str, error: Exception) -> BaseException:
    """*error* as SQLAlchemy's own execution would raise it, without the values; a lost connection is given up."""
    dialect: Any = connection.dialect
    if not isinstance(error, dialect.loaded_dbapi.Error):
        return error
    lost = bool(dialect.is_disconnect(error, connection.connection.dbapi_connection, None))
    if lost:
        connection.invalidate(error)
    translated: BaseException = DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error,
        hide_parameters=True, connection_invalidated=lost, dialect=dialect, ismulti=None,
    )  # fmt: skip
    return translated


def cursor_of(connection: Connection) -> Any:
    """The driver's own cursor, after what waits has gone ahead; it closes itself when it is forgotten."""
    if (waiting := ahead.of(connection)) is not None:
        waiting.send()
    driver: Any = connection.connection.dbapi_connection
    return driver.cursor()


def chunks(items: Sequence[Item], size: int = 500) -> Iterable[Sequence[Item]]:
    """*items* in parts, since both databases bound the number of a statement's parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))

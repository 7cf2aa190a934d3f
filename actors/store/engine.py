"""Connections, and the one place that knows which database it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import URL, Connection, Dialect, Engine, Executable, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from ..core.errors import InvalidOption

Row = tuple[Any, ...]
WORTH_A_SAVEPOINT: Final = 8
"""Rows: below that, running them one by one is cheaper than a batch with a savepoint around it."""


def parse(url: str) -> URL:
    """The parts of a database URL, its driver filled in.

    Raises:
        InvalidOption: it is no URL, or not of a database that this package stores tasks in.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise InvalidOption(
            f"database URL {shown(url)!r} does not parse; try 'sqlite:///tasks.db' or 'postgresql://user@host/database'"
        ) from None
    match parsed.get_backend_name():
        case "sqlite" if "uri" in parsed.query:
            raise InvalidOption(
                f"database URL {shown(url)!r} has the option 'uri'; give the path: 'sqlite:///tasks.db'"
            )
        case "sqlite":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise InvalidOption(f"database URL names {other!r}; tasks can be stored in 'sqlite' and 'postgresql'")


def shown(url: str) -> str:
    """*url* without its passwords, for messages."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url.rpartition("@")[2]
    secrets = {name: "***" for name in parsed.query if "password" in name}
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)


def in_memory(url: URL) -> bool:
    """Whether the database lives in this process alone."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def file_of(url: URL) -> str | None:
    """The absolute path of an SQLite file; None for a database that is no file."""
    if url.get_backend_name() != "sqlite" or in_memory(url):
        return None
    return os.path.abspath(url.database or "")


def make_engine(url: str, *, read_only: bool = False, busy_seconds: float = 5.0) -> Engine:
    """An engine set up for this package's transactions.

    SQLite: WAL, `synchronous=FULL` (an acknowledged task survives a power cut), `BEGIN IMMEDIATE` for writers
    (a deferred transaction that upgrades fails at once, whatever its busy time-out), new files readable by
    their owner only.

    Args:
        read_only: refuse writes, and let a read see one snapshot.
        busy_seconds: how long SQLite waits for another process's write before it says BUSY.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "postgresql":
        return postgresql_engine(parsed)
    if in_memory(parsed):
        engine = create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        keep_private(parsed.database or "")
        engine = create_engine(parsed, connect_args={"check_same_thread": False, "timeout": busy_seconds})
    listen_sqlite(engine, read_only=read_only)
    return engine


def postgresql_engine(url: URL) -> Engine:
    """An engine with a connection for the writer and one for the reader.

    Raises:
        InvalidOption: the driver is not installed.
    """
    try:
        return create_engine(url, pool_size=2, max_overflow=0, pool_pre_ping=True)
    except ImportError:
        raise InvalidOption(
            "PostgreSQL needs its driver beside SQLite's: pip install 'trio-actors[postgres]'"
        ) from None


def keep_private(path: str) -> None:
    """Create the file for its owner alone. An existing one is not opened: closing it would drop SQLite's locks.

    Raises:
        InvalidOption: nothing can be written there.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if os.path.isdir(path) or not os.access(path, os.W_OK):
            raise InvalidOption(f"the database file {path!r} cannot be written; give a file of your own") from None
    except OSError as error:
        raise InvalidOption(f"the database file {path!r} cannot be made: {error.strerror}") from error


def listen_sqlite(engine: Engine, *, read_only: bool) -> None:
    """Take the transactions out of the driver's hands, and set the pragmas of each new connection."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    begin_statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # By the driver itself: SQLAlchemy's execution would cost more than all the rest of a small transaction.
        _cursor(connection).execute(begin_statement)


def take_turns(connection: Connection, what: int) -> None:
    """Let no other transaction that asks for *what*, a number, run beside this one."""
    if connection.dialect.name == "postgresql":  # SQLite's writers take turns as it is
        connection.execute(select(func.pg_advisory_xact_lock(what)))


class Prepared:
    """A statement compiled once per dialect, run by the driver itself with plain tuples.

    SQLAlchemy's own execution costs about 40 µs a statement and 10 µs a row; the hot ones cannot pay that.

    Args:
        build: makes the statement for a dialect.
        names: the bind names, in the order in which callers give their values.
    """

    def __init__(self, build: Callable[[Dialect], Executable], names: Sequence[str]) -> None:
        self._build = build
        self._names = list(names)
        self._compiled: dict[str, tuple[str, Callable[[Row], Row] | None]] = {}

    def _for(self, dialect: Dialect) -> tuple[str, Callable[[Row], Row] | None]:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[Row], Row] | None]:
        plain = dialect
        if dialect.name == "postgresql":
            plain = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        compiled: Any = self._build(dialect).compile(dialect=plain, column_keys=self._names)  # type: ignore[attr-defined]  # every Executable here is a ClauseElement
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
        sql, reorder = self._for(connection.dialect)
        cursor = _cursor(connection)
        try:
            cursor.executemany(sql, rows if reorder is None else map(reorder, rows))
        except Exception as error:
            raise _translated(connection, sql, error) from error
        return int(cursor.rowcount)

    def run_each(self, connection: Connection, rows: Sequence[Row]) -> list[bool]:
        """Run it for every row, each of which changes one table row or none; which of them did.

        A driver tells only how many of a batch took. So a batch of which some did not is undone and halved.
        """
        if len(rows) < WORTH_A_SAVEPOINT:
            return [self.run(connection, row) > 0 for row in rows]
        cursor = _cursor(connection)
        cursor.execute("SAVEPOINT actors_each")
        whole = self.run_many(connection, rows) == len(rows)
        if not whole:
            cursor.execute("ROLLBACK TO SAVEPOINT actors_each")
        cursor.execute("RELEASE SAVEPOINT actors_each")
        half = len(rows) // 2
        if whole:
            return [True] * len(rows)
        return self.run_each(connection, rows[:half]) + self.run_each(connection, rows[half:])

    def fetch(self, connection: Connection, row: Row = ()) -> list[Row]:
        """Run it once and return what it returns."""
        found: list[Row] = self._execute(connection, row).fetchall()
        return found

    def _execute(self, connection: Connection, row: Row) -> Any:
        sql, reorder = self._for(connection.dialect)
        cursor = _cursor(connection)
        try:
            cursor.execute(sql, row if reorder is None else reorder(row))
        except Exception as error:
            raise _translated(connection, sql, error) from error
        return cursor


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


def _cursor(connection: Connection) -> Any:
    """The driver's own cursor; it closes itself when it is forgotten."""
    driver: Any = connection.connection.dbapi_connection
    return driver.cursor()


def insert_or_ignore(table: Table, dialect: Dialect) -> Any:
    """An INSERT that leaves rows alone which conflict with what is there."""
    return insert(table, dialect).on_conflict_do_nothing()


def insert_or_add(table: Table, value: str, dialect: Dialect) -> Any:
    """An INSERT that adds *value* to the row that is there."""
    statement = insert(table, dialect)
    total = table.c[value] + statement.excluded[value]
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_={value: total})


def insert_or_replace(table: Table, values: Iterable[str], dialect: Dialect) -> Any:
    """An INSERT that overwrites *values* in the row that is there."""
    statement = insert(table, dialect)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: statement.excluded[name] for name in values}
    )


def insert(table: Table, dialect: Dialect) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    return (sqlite if dialect.name == "sqlite" else postgresql).insert(table)

"""Connections, and the one place that knows which database it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, Table, create_engine, event, func, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from ..core.errors import InvalidOption
from .postgresql import postgresql_engine
from .prepared import cursor_of


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
            # without options: they are other drivers', or set for each connection below
            return parsed.set(drivername="sqlite+pysqlite", query={})
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
        return postgresql_engine(parsed, read_only=read_only)
    if in_memory(parsed):
        engine = create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        keep_private(parsed.database or "")
        engine = create_engine(parsed, connect_args={"check_same_thread": False, "timeout": busy_seconds})
    listen_sqlite(engine, read_only=read_only)
    return engine


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


def be_there(path: str) -> None:
    """Refuse a file that is not there: what only looks makes none. See `keep_private` for what may be wrong else.

    Raises:
        InvalidOption: there is no such file, or it cannot be written.
    """
    if not os.path.exists(path):
        raise InvalidOption(f"the database file {path!r} does not exist; a node or a submit makes it")
    keep_private(path)


def listen_sqlite(engine: Engine, *, read_only: bool) -> None:
    """Take the transactions out of the driver's hands, and set the pragmas of each new connection."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        else:  # the mode stays in the file
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    begin_statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # By the driver itself: SQLAlchemy's execution would cost more than all the rest of a small transaction.
        cursor_of(connection).execute(begin_statement)


def take_turns(connection: Connection, what: int) -> None:
    """Let no other transaction that asks for *what*, a number, run beside this one."""
    for statement in taking_turns(connection.dialect.name, what):
        connection.execute(text(statement))


def taking_turns(dialect: str, what: int) -> Sequence[str]:
    """The statements of `take_turns`. SQLite's writers take turns as it is."""
    return (f"SELECT pg_advisory_xact_lock({what})",) if dialect == "postgresql" else ()


def turn_is_free(connection: Connection, what: int) -> bool:
    """Have the turn until the transaction ends, as `take_turns` would, unless it is somebody else's now."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(what))).scalar_one())


def lock_in_order(connection: Connection, table: Table, keys: Iterable[int]) -> None:
    """Lock the rows of *keys* in the order of their key, before statements that come to them in another one.

    Transactions that wait for each other's rows in one order cannot do so in a circle.
    """
    if connection.dialect.name == "postgresql":  # SQLite's writers take turns as it is
        (key,) = table.primary_key
        found = select(key).where(key == func.any(list(keys))).order_by(key)
        connection.execute(found.with_for_update(key_share=True)).all()


def having_alone(dialect: str, tables: Sequence[str], seconds: float) -> Sequence[str]:
    """The statements by which a transaction has *tables* for itself, one after the other, or fails after *seconds*.

    Who waits for a table's lock holds up all who come after; so none of its statements waits longer than this. On
    SQLite there is nothing to wait for once it has begun: who writes to a file has all of it.
    """
    if dialect != "postgresql":
        return ()
    locks = [f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"] if tables else []
    return [f"SET LOCAL lock_timeout = '{seconds * 1000:.0f}ms'", *locks]


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

"""Submitting in a transaction of the user's own, on whatever connection and driver that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from ..core.errors import InvalidOption, SchemaMismatch
from ..core.news import News
from ..core.request import NewTask, Receipt
from . import schema, tasks
from .notify import may_notify, notify
from .rollups import Tally

SHARD: Final = "enqueue"
SHARDS: Final = 64
"""Counter rows that transactions of users can add to at once, on PostgreSQL."""
SHARD_TURN: Final = 0x61637474  # any number that nobody else is likely to lock


def connection_of(given: object) -> Connection:
    """The connection of *given*: itself, or that of a session, with its transaction.

    Raises:
        InvalidOption: it is neither, or commits every statement by itself.
    """
    connection = given if isinstance(given, Connection) else _of_session(given)
    if connection is None:
        raise InvalidOption(f"enqueue got {_shown(given)}")
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise InvalidOption(f"enqueue got {given!r:.80} in AUTOCOMMIT; it should be one with transactions")
    return connection


def _of_session(given: object) -> Connection | None:
    from sqlalchemy.orm import Session, scoped_session  # it costs 50 ms, which who has a session has paid

    session = given() if isinstance(given, scoped_session) else given
    return session.connection() if isinstance(session, Session) else None


def _shown(given: object) -> str:
    what = f"{given!r:.80}; it should be an SQLAlchemy Connection or Session"
    if hasattr(given, "run_sync"):
        return f"{what}: await {type(given).__name__}.run_sync(app.enqueue, requests)"
    if hasattr(given, "begin"):
        return f"{what}: with engine.begin() as connection"
    return what


def enqueue(connection: Connection, rows: Sequence[NewTask], now: float, *, tell: bool) -> list[Receipt]:
    """Insert *rows* into the transaction of *connection*, all or none; it is left open.

    Args:
        now: epoch seconds.
        tell: have the nodes on a server told of it, when it commits.

    Raises:
        SchemaMismatch: the tables are not there, or of another version.
    """
    _be_there(connection)
    _begin(connection)
    with connection.begin_nested():
        tally = Tally(_shard(connection), now)
        receipts = tasks.submit(connection, rows, tally)
        tally.store(connection)
        if tell and may_notify(connection):
            notify(connection, _news(rows).text())
    return receipts


def _news(rows: Sequence[NewTask]) -> News:
    later = [row.due_at for row in rows if row.rank is None]
    later += [row.expires_at for row in rows if row.expires_at is not None]
    return News(work=[row.lane for row in rows if row.rank is not None], due=min(later, default=None))


def _be_there(connection: Connection) -> None:
    number = schema.found(connection)
    schema.refuse_newer(number)
    if number is None:
        raise SchemaMismatch("the database has no tables for tasks; run the task system on it once, or: actors migrate")
    if number < schema.VERSION:
        schema.refuse_older(connection, number)


def _begin(connection: Connection) -> None:
    """Begin what the driver has put off: SQLite takes a savepoint outside of a transaction for one of its own."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        return
    if driver.isolation_level is None:
        raise InvalidOption("enqueue got a connection that commits every statement; it should be in a transaction")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _shard(connection: Connection) -> str:
    """Counter rows that no other open transaction adds to.

    A user's transaction may stay open for long, and until then what it has counted is locked: not to be waited for
    by a node, nor by another such transaction.
    """
    if connection.dialect.name == "sqlite":  # there is one writer at a time as it is
        return ""
    number = func.generate_series(1, SHARDS).column_valued("number")
    free = select(number).where(func.pg_try_advisory_xact_lock(SHARD_TURN, number)).limit(1)
    return f"{SHARD}-{connection.execute(free).scalar() or 0}"

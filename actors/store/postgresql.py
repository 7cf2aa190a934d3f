"""Connections to a PostgreSQL server: how they are made, and how their transactions begin and end."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ..core.errors import InvalidOption
from . import ahead
from .prepared import translating

CONNECTED_WITHIN: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Of libpq, in seconds but for the last: a server whose machine is gone is noticed within about ten of them, instead of
the quarter of an hour that systems leave TCP. The URL may say otherwise."""


def postgresql_engine(url: URL, *, read_only: bool = False) -> Engine:
    """An engine for a connection or two, whatever isolation the server has as its default.

    Raises:
        InvalidOption: the driver is not installed.
    """
    settings = {name: value for name, value in CONNECTED_WITHIN.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            pool_size=2,
            max_overflow=0,
            pool_pre_ping=True,
            use_native_hstore=False,  # it would ask the server for a type that no table has
            connect_args={"fallback_application_name": "actors", **settings},
        )
    except ImportError:
        raise InvalidOption(
            "PostgreSQL needs its driver beside SQLite's: pip install 'trio-actors[postgres]'"
        ) from None
    listen_postgresql(engine, read_only=read_only)
    return engine


_WHO_AND_HOW = """
    SELECT pg_backend_pid(), current_setting('default_transaction_isolation'),
        CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
_USUAL: Final = "read committed"


def listen_postgresql(engine: Engine, *, read_only: bool) -> None:
    """Take the transactions out of the driver's hands, so that it costs fewer round trips to begin and end them."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.autocommit = True
        greet_server(connection)
        record.info[ahead.KEY] = ahead.Ahead(connection)

    begin_statement = "BEGIN ISOLATION LEVEL " + ("REPEATABLE READ READ ONLY" if read_only else "READ COMMITTED")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _waiting(connection).begin(begin_statement)

    @event.listens_for(engine, "before_cursor_execute")
    def send(connection: Connection, *_: object) -> None:
        with translating(connection, begin_statement):
            _waiting(connection).send()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        with translating(connection, "COMMIT"):
            _waiting(connection).commit()

    @event.listens_for(engine, "rollback")
    def rollback(connection: Connection) -> None:
        if not connection.invalidated:
            _waiting(connection).forget()


def _waiting(connection: Connection) -> ahead.Ahead:
    found: ahead.Ahead = connection.info[ahead.KEY]
    return found


def greet_server(connection: Any) -> None:
    """Have commits wait for the disk, whatever the database's default; and find out whether a pooler is in between.

    A pooler such as PgBouncer hands out process numbers of its own to who connects. Behind it the next transaction may
    run in a session that does not know what this one has prepared, and what is set in one is found by whoever has it
    next. In a session of our own a statement outside of a transaction, such as a heartbeat, has the isolation of those
    inside.
    """
    ((backend, isolation, _),) = connection.execute(_WHO_AND_HOW).fetchall()
    if backend != connection.info.backend_pid:
        connection.prepare_threshold = None
    elif isolation != _USUAL:
        connection.execute(f"SET default_transaction_isolation = '{_USUAL}'")

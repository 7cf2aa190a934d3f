"""What a node asks a PostgreSQL server besides rows: its clock, and whose session lives."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, column, func, literal_column, select, table

_locks = table(
    "pg_locks", column("locktype"), column("granted"), column("classid"), column("objid"), column("objsubid")
)


def now(connection: Connection) -> float:
    """The server's clock, epoch seconds."""
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def pooled(connection: Connection) -> bool:
    """Whether this session may be another one in the next transaction, so that locks of sessions mean nothing.

    That was found out when it was connected: `engine.prepare_no_statements_in_a_pool`.
    """
    driver: Any = connection.connection.driver_connection
    return driver.prepare_threshold is None


def lock(connection: Connection, key: int) -> bool:
    """Have the session hold the lock *key* until it ends, however it ends; False if another one holds it."""
    return bool(connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one())


def is_free(connection: Connection, key: int) -> bool:
    """Whether no session holds the lock *key*. Looking takes nothing: to try it would be to hold it."""
    high, low = cast(_locks.c.classid, BigInteger), cast(_locks.c.objid, BigInteger)
    held: Select[Any] = select(literal_column("1")).where(
        _locks.c.locktype == "advisory", high == key >> 32, low == key & 0xFFFFFFFF, _locks.c.objsubid == 1
    )
    return connection.execute(held.limit(1)).first() is None

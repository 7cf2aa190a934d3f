"""What a node asks a PostgreSQL server besides rows: its clock, and whose session lives."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, cast, column, func, select, table

from .prepared import Prepared

_locks = table("pg_locks", *(column(name) for name in ("pid", "locktype", "classid", "objid", "objsubid")))
_sessions = table("pg_stat_activity", column("pid"), column("usename"))


_now = Prepared(lambda _: select(func.extract("epoch", func.clock_timestamp())), ())
_lock = Prepared(lambda _: select(func.pg_try_advisory_lock(bindparam("key", type_=BigInteger))), ("key",))


def now(connection: Connection) -> float:
    """The server's clock, epoch seconds."""
    ((seconds,),) = _now.fetch(connection)
    return float(seconds)


def pooled(connection: Connection) -> bool:
    """Whether this session may be another one in the next transaction, so that locks of sessions mean nothing.

    That was found out when it was connected: `postgresql.greet_server`.
    """
    driver: Any = connection.connection.driver_connection
    return driver.prepare_threshold is None


def lock(connection: Connection, key: int) -> bool:
    """Have the session hold the lock *key* until it ends, however it ends; False if another one holds it."""
    ((locked,),) = _lock.fetch(connection, (key,))
    return bool(locked)


def is_free(connection: Connection, key: int) -> bool:
    """Whether no session holds the lock *key*. Looking takes nothing: to try it would be to hold it."""
    return connection.execute(_holders(key).limit(1)).first() is None


def end_session(connection: Connection, key: int) -> None:
    """End the session that holds the lock *key*, with what it has under way, if it is of this user."""
    mine = _sessions.c.usename == func.current_user()
    holder = select(func.pg_terminate_backend(_sessions.c.pid)).where(_sessions.c.pid.in_(_holders(key)), mine)
    connection.execute(holder).all()


def _holders(key: int) -> Select[tuple[int]]:
    high, low = cast(_locks.c.classid, BigInteger), cast(_locks.c.objid, BigInteger)
    this = (high == key >> 32) & (low == key & 0xFFFFFFFF) & (_locks.c.objsubid == 1)
    return select(_locks.c.pid).where(_locks.c.locktype == "advisory", this)

"""The tables. They may live in a user's own database, so each name carries a prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    bindparam,
    inspect,
    literal_column,
    select,
)

from ..core.errors import SchemaMismatch
from ..core.retention import LARGE_BYTES
from ..core.task import ENDED, WAITING, TaskStatus
from .engine import take_turns
from .functions import octets

VERSION: Final = 4
"""Of the tables below; a test compares it, and them, with what the migrations make."""
PREFIX: Final = "actors_"
TURN: Final = 0x6163746F72  # any number that nobody else is likely to lock

metadata = MetaData()

Key = BigInteger().with_variant(Integer, "sqlite")

task = Table(
    PREFIX + "task",
    metadata,
    Column("seq", Key, primary_key=True),  # the order of submission; never reused, so it can stand in a fence
    Column("task_id", String(36), nullable=False),
    Column("task_type", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("claimed_as", Text),  # the state it was claimed from: an UPDATE cannot return what it overwrote
    Column("priority", Integer, nullable=False),
    Column("key", Text),
    Column("nonce", BigInteger, nullable=False),
    Column("input_data", Text, nullable=False),
    Column("metadata", Text),
    Column("result_data", Text),
    Column("error_info", Text),
    Column("progress", Text),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("started_at", Double),
    Column("completed_at", Double),
    Column("expires_at", Double),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("crash_count", Integer, nullable=False, server_default="0"),
    Column("crashes_seen", Integer, nullable=False, server_default="0"),
    Column("alone", SmallInteger, nullable=False, server_default="0"),
    Column("cancel_requested", SmallInteger, nullable=False, server_default="0"),
    Column("max_retries", Integer, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("timeout_seconds", Double),
    Column("soft_timeout_seconds", Double),
    Column("node", Text),
    Column("rank", Double),  # set while the task can be claimed, and only then
    Column("context", Text),  # context variables of the submitter, JSON; NULL where none travel
    sqlite_autoincrement=True,
)


def one_of(statuses: Iterable[TaskStatus]) -> ColumnElement[bool]:
    """`status IN (…)` in literals: a planner uses a partial index only where the text itself implies its condition."""
    return task.c.status.in_([literal_column(f"'{word}'") for word in sorted(status.value for status in statuses)])


waiting = one_of(WAITING)
ended = one_of(ENDED)
alive = one_of(WAITING | {TaskStatus.RUNNING})
running = task.c.status == literal_column("'running'")
claimable = task.c.rank.is_not(None) & (task.c.alone == literal_column("0"))
claimable_alone = task.c.rank.is_not(None) & (task.c.alone == literal_column("1"))
to_be_promoted = task.c.rank.is_(None) & waiting
ranked = task.c.due_at - task.c.priority * bindparam("aging", type_=Double())  # `core.priority.rank` in SQL
may_expire = task.c.expires_at.is_not(None) & waiting

completed = task.c.status == literal_column("'completed'")
large = completed & (octets(task.c.result_data) > literal_column(str(LARGE_BYTES)))


def partial(name: str, *columns: Column[Any], where: ColumnElement[bool], unique: bool = False) -> Index:
    """An index over the rows that satisfy *where*, so that all others cost it nothing."""
    return Index(PREFIX + name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


Index(PREFIX + "task_id", task.c.task_id, unique=True)
partial("task_claim", task.c.lane, task.c.task_type, task.c.rank, task.c.seq, where=claimable)
partial("task_alone", task.c.lane, task.c.task_type, task.c.rank, task.c.seq, where=claimable_alone)
partial("task_due", task.c.due_at, where=to_be_promoted)
partial("task_expires", task.c.expires_at, where=may_expire)
partial("task_running", task.c.node, where=running)
partial("task_ended", task.c.status, task.c.completed_at, where=ended)
partial("task_large", task.c.completed_at, where=large)
partial(
    "task_key",
    task.c.task_type,
    task.c.key,
    where=task.c.key.is_not(None) & alive,
    unique=True,
)

attempt = Table(
    PREFIX + "attempt",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("node", Text),
    Column("started_at", Double),
    Column("ended_at", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_info", Text),
)

counter = Table(
    PREFIX + "counter",
    metadata,
    Column("width", Integer, primary_key=True, autoincrement=False),  # seconds a row speaks for; 0: from the beginning
    Column("period", BigInteger, primary_key=True, autoincrement=False),  # epoch seconds of its start
    Column("task_type", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

pause = Table(
    PREFIX + "pause",
    metadata,
    Column("kind", Text, primary_key=True),  # "lane" or "task_type"
    Column("name", Text, primary_key=True),
    Column("since", Double, nullable=False),
)

node = Table(
    PREFIX + "node",
    metadata,
    Column("node", Text, primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("working", SmallInteger, nullable=False),
    Column("snapshot", Text),
    Column("lock_key", BigInteger),  # of the advisory lock that its session holds; NULL: by the lease alone it is known
)

version = Table(  # Alembic's own, to the letter: who migrates and who only looks read the same row
    PREFIX + "version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=PREFIX + "version_pkc"),
)

Older = Callable[[Connection, int], object]
"""What to do about tables of an older version, the number; when it returns they are of this one."""


def revision(number: int) -> str:
    """How a version is called in the version table, and by its migration."""
    return f"{number:04d}"


def found(connection: Connection) -> int | None:
    """The version of the tables in the database; None if there are none.

    Raises:
        SchemaMismatch: the version table does not say.
    """
    if not inspect(connection).has_table(version.name):
        return None
    match connection.execute(select(version.c.version_num)).scalars().all():
        case [number] if number.isdecimal():
            return int(number)
        case other:
            raise SchemaMismatch(
                f"the table {version.name!r} holds {list(other)!r}; it should hold one version such as"
                f" {revision(VERSION)!r}; put back a copy of the database"
            )


def be_there(connection: Connection) -> None:
    """Check that there are tables, of whatever version, for those who are not to make any.

    Raises:
        SchemaMismatch: there are none.
    """
    if found(connection) is None:
        raise SchemaMismatch("this database has no tables of trio-actors; a node or a submit makes them")


def refuse_older(_: Connection, number: int) -> None:
    """Leave tables of the older version *number* to the one who may change them.

    Raises:
        SchemaMismatch: always.
    """
    raise SchemaMismatch(
        f"the tables in this database are of version {number}; this code needs version {VERSION}; run: actors migrate"
    )


def refuse_newer(number: int | None) -> None:
    """Check that *number* is no version of the future.

    Raises:
        SchemaMismatch: it is.
    """
    if number is not None and number > VERSION:
        raise SchemaMismatch(
            f"the tables in this database are of version {number}; this code knows version {VERSION};"
            " install a newer trio-actors, or put back the copy from before the upgrade"
        )


def create(connection: Connection, older: Older = refuse_older) -> int | None:
    """Make the tables if there are none, or see that they are of this version; one process at a time.

    Returns:
        The version that was found; None if there were no tables.

    Raises:
        SchemaMismatch: they are of another version, or not ours.
    """
    take_turns(connection, TURN)
    number = found(connection)
    refuse_newer(number)
    if number is None:
        _make(connection)
    elif number < VERSION:
        older(connection, number)
    return number


def _make(connection: Connection) -> None:
    """All at once, and not from migration to migration: a test proves that it comes to the same, without Alembic."""
    strangers = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if strangers:
        raise SchemaMismatch(
            f"the database has a table {strangers[0]!r}, but no {version.name!r} to say of which version;"
            " it is not this package's: rename it, or give another database"
        )
    metadata.create_all(connection)
    connection.execute(version.insert().values(version_num=revision(VERSION)))

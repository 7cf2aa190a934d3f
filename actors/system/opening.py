"""From a database URL to an open database whose dead node's tasks are taken back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import attrs
import trio

from ..core.errors import ActorsError, InvalidOption, ModeUnavailable, StorageUnavailable
from ..store import leases, schema
from ..store.connection import Connection
from ..store.engine import be_there, file_of, keep_private, parse, shown
from ..store.faults import passing
from ..store.lock import FileLock
from ..store.upgrade import FileUpgrade
from .clock import Clock
from .database import Database, InlineDatabase, ThreadedDatabase
from .recorder import Recorder
from .transaction import Transaction

logger = logging.getLogger("actors.system")

PATIENCE: Final = 5.0
"""Seconds for which a fault that may pass is waited out when the database is opened."""
PAUSE: Final = 0.1


@attrs.frozen
class Opened:
    """An open database, and what was found in it.

    Attributes:
        recovery: the transaction that took back what a dead node ran.
    """

    database: Database
    recorder: Recorder
    clock: Clock
    recovery: Transaction | None


@asynccontextmanager
async def opened(
    url: str, node: str, *, work: bool, aging: float, lease: float, create: bool = True
) -> AsyncIterator[Opened]:
    """Open the database at *url* for one node; on leaving all is closed, and the lock is free.

    A working node brings the tables of an older file up to date, and leaves a copy of the file as it was.

    Args:
        create: make what is not there, the file and the tables.

    Raises:
        InvalidOption: the URL cannot be used; or there is no such file, and none is to be made.
        DatabaseInUse: another working node holds the SQLite file.
        SchemaMismatch: the tables are of another version, and not this node's to change.
        StorageUnavailable: the database does not answer.
    """
    parsed = parse(url)
    if parsed.get_backend_name() != "sqlite":
        raise ModeUnavailable("a task system runs on SQLite in this version; its store alone knows PostgreSQL")
    path = file_of(parsed)
    if path:
        (keep_private if create else be_there)(path)
    elif not create:
        raise InvalidOption("a database in memory belongs to the process that made it; give the URL of a file")
    lock = FileLock(path) if path and work else None
    if lock is not None:
        lock.acquire()
    recorder = Recorder(None)
    database: Database | None = None
    try:
        if path and work:
            recorder = Recorder(f"{path}-running")
        clock = Clock(None) if path is None else Clock()
        database = InlineDatabase(url) if path is None else ThreadedDatabase(url)
        upgrade = FileUpgrade(path, clock.wall()) if path and work else None
        older = upgrade or schema.refuse_older
        recovery = await _prepared(
            url, database, partial(_prepare, node, clock.wall(), aging, lease, recorder.before, work, create, older)
        )
        if upgrade is not None and upgrade.copy is not None:
            logger.warning(
                "the tables in %s were brought to version %d; the file as it was lies at %s",
                path, schema.VERSION, upgrade.copy,
            )  # fmt: skip
        recorder.begin()
        try:
            yield Opened(database, recorder, clock, recovery)
        finally:
            if work:
                await _leave(database, node)
    finally:
        if database is not None:
            with trio.CancelScope(shield=True):
                await database.close()
        recorder.close()
        if lock is not None:
            lock.release()


async def _leave(database: Database, node: str) -> None:
    """Take the node's row out, so that nobody takes it for one that lives. If it stays, its lease will run out."""
    with trio.CancelScope(shield=True):
        try:
            await database.write(partial(leases.leave, node=node))
        except Exception as error:
            logger.warning("node %s stays in the list until its lease ends: %s", node, error)


def public_url(url: str) -> str:
    """*url* without its passwords, for people."""
    return shown(url)


async def _prepared(url: str, database: Database, operation: partial[Transaction | None]) -> Transaction | None:
    """Run *operation*; wait a while for another process that holds the write lock."""
    give_up_at = trio.current_time() + PATIENCE
    while True:
        try:
            return await database.write(operation)
        except ActorsError:
            raise
        except Exception as error:
            reason = passing(error)
            if reason is None or trio.current_time() >= give_up_at:
                words = reason or str(error).splitlines()[0]
                raise StorageUnavailable(f"the database {shown(url)} could not be opened: {words}") from error
        await trio.sleep(PAUSE)


def _prepare(
    node: str,
    now: float,
    aging: float,
    lease: float,
    started: frozenset[tuple[int, int]],
    work: bool,
    create: bool,
    older: schema.Older,
    connection: Connection,
) -> Transaction | None:
    if not create:
        schema.be_there(connection)
    schema.create(connection, older)
    if not work:
        return None
    transaction = Transaction(connection, node, now, aging)
    transaction.recovered = leases.recover(connection, started, now, aging, transaction.tally)
    transaction.tally.store(connection)
    leases.forget_others(connection, node)
    leases.register(connection, node, now, now + lease, working=True)
    return transaction

"""From a database URL to an open database whose dead node's tasks are taken back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from ..core.errors import InvalidOption
from ..store import leases, nodes, schema
from ..store.connection import Connection
from ..store.engine import be_there, file_of, keep_private, parse, shown
from ..store.lock import FileLock
from ..store.upgrade import FileUpgrade
from .clock import FALLING_BACK, Clock
from .database import Database, InlineDatabase, ThreadedDatabase
from .opened import Opened, leave, patiently
from .recorder import Recorder, place, take
from .server import Server
from .transaction import Transaction

logger = logging.getLogger("actors.system")


@attrs.frozen
class Visit:
    """Who opens what: *aging* and *lease* in seconds; *create* makes what is not there, the file and the tables."""

    url: str
    node: str
    work: bool
    aging: float
    lease: float
    create: bool = True


@asynccontextmanager
async def opened(visit: Visit) -> AsyncIterator[Opened]:
    """Open the database for one node; on leaving all is closed, and the lock is free.

    A working node brings the tables of an older file up to date, and leaves a copy of the file as it was.

    Raises:
        InvalidOption: the URL cannot be used; or there is no such file, and none is to be made.
        DatabaseInUse: another working node holds the SQLite file.
        SchemaMismatch: the tables are of another version, and not this node's to change.
        StorageUnavailable: the database does not answer.
    """
    way = _server if parse(visit.url).get_backend_name() == "postgresql" else _file_or_memory
    async with way(visit) as found:
        try:
            yield found
        finally:
            if visit.work:
                await leave(found.database, visit.node)


@asynccontextmanager
async def _server(visit: Visit) -> AsyncIterator[Opened]:
    database, server = ThreadedDatabase(visit.url), Server(visit.node, visit.lease)
    recorder = Recorder(None)
    try:
        await patiently(visit.url, database, partial(server.enter, work=visit.work, create=visit.create))
        if visit.work:
            recorder = _on_this_machine(visit.node)
        yield Opened(database, recorder, Clock(server.time.read, FALLING_BACK), server=server)
    finally:
        await _close(database)
        recorder.close()
        take(visit.node)


def _on_this_machine(node: str) -> Recorder:
    try:
        recorder = Recorder(place(node))
    except OSError as error:
        logger.warning("running handlers are not recorded, so that after a crash a claim counts as a start: %s", error)
        return Recorder(None)
    recorder.begin()
    return recorder


@asynccontextmanager
async def _file_or_memory(visit: Visit) -> AsyncIterator[Opened]:
    path, work = file_of(parse(visit.url)), visit.work
    if path:
        (keep_private if visit.create else be_there)(path)
    elif not visit.create:
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
        database = InlineDatabase(visit.url) if path is None else ThreadedDatabase(visit.url)
        upgrade = FileUpgrade(path, clock.wall()) if path and work else None
        prepare = partial(_prepare, visit, clock.wall(), recorder.before, upgrade or schema.refuse_older)
        recovery = await patiently(visit.url, database, prepare)
        if upgrade is not None and upgrade.copy is not None:
            logger.warning(
                "the tables in %s were brought to version %d; the file as it was lies at %s",
                path, schema.VERSION, upgrade.copy,
            )  # fmt: skip
        if recovery is not None and recovery.recovered:
            logger.info("%d tasks were running when the node before died; they are taken over", len(recovery.recovered))
        recorder.begin()
        yield Opened(database, recorder, clock, recovery)
    finally:
        if database is not None:
            await _close(database)
        recorder.close()
        if lock is not None:
            lock.release()


async def _close(database: Database) -> None:
    with trio.CancelScope(shield=True):
        await database.close()


def public_url(url: str) -> str:
    """*url* without its passwords, for people."""
    return shown(url)


def _prepare(
    visit: Visit, now: float, started: frozenset[tuple[int, int]], older: schema.Older, connection: Connection
) -> Transaction | None:
    if not visit.create:
        schema.be_there(connection)
    schema.create(connection, older)
    if not visit.work:
        return None
    transaction = Transaction(connection, visit.node, now, visit.aging)
    transaction.recovered = leases.recover(connection, started, now, visit.aging, transaction.tally)
    transaction.tally.store(connection)
    nodes.forget_others(connection, visit.node)
    nodes.register(connection, visit.node, now, now + visit.lease, working=True)
    return transaction

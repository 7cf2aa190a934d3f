"""The version of a database's tables: look at it, bring it up to date, or get the SQL for that.

Plain functions, for deployment scripts and the command line; in a trio program they belong into a thread. Without a
URL they take the settings', as `TaskSystem` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING

import attrs

from .core.errors import ActorsError, InvalidOption, StorageUnavailable
from .settings import Settings
from .store import schema
from .store.engine import file_of, in_memory, make_engine, parse, shown
from .store.faults import passing, refusal, told
from .store.lock import FileLock
from .store.upgrade import FileUpgrade

if TYPE_CHECKING:
    from .store.connection import Connection

BUSY_SECONDS = 30.0
"""How long another process's write to an SQLite file is waited for."""
STOP_FIRST = "stop that one; when it starts with this release, it upgrades the file by itself"


@attrs.frozen
class Versions:
    """What a database has, beside what this code needs.

    Attributes:
        database: its URL, without passwords.
        found: None: there are no tables yet.
        newest: the version that this code knows and needs.
    """

    database: str
    found: int | None
    newest: int

    @property
    def due(self) -> bool:
        """Whether `upgrade` has something to do."""
        return self.found != self.newest


@attrs.frozen
class Upgraded:
    """What `upgrade` did.

    Attributes:
        database: its URL, without passwords.
        before: None: there were no tables.
        after: the version of this code; the same as before: nothing was to be done.
        copy: the path of the SQLite file as it was; None if there was nothing to copy.
    """

    database: str
    before: int | None
    after: int
    copy: str | None = None


def check(database_url: str | None = None) -> Versions:
    """The versions, without a change to the database; a file that is not there is not made.

    Raises:
        InvalidOption: the URL cannot be used.
        SchemaMismatch: the tables are of a later release.
        StorageUnavailable: the database does not answer.
    """
    url = _lasting(database_url)
    number = _found(url)
    schema.refuse_newer(number)
    return Versions(shown(url), number, schema.VERSION)


def upgrade(database_url: str | None = None) -> Upgraded:
    """Bring the tables to this code's version, or make them; all or nothing, and one process at a time.

    An SQLite file is copied first; see `Upgraded.copy`. On PostgreSQL nodes of the older version may go on meanwhile.

    Raises:
        InvalidOption: the URL cannot be used.
        DatabaseInUse: a working node has the SQLite file.
        SchemaMismatch: the tables are of a later release, or a migration failed.
        StorageUnavailable: the database does not answer.
    """
    versions = check(database_url)
    if not versions.due:
        return Upgraded(versions.database, versions.found, versions.newest)
    url = _lasting(database_url)
    path = file_of(parse(url))
    with _locked(path), _transaction(url) as connection:
        if path is None:
            before, copy = schema.create(connection, _migrate), None
        else:
            step = FileUpgrade(path, time())
            before, copy = schema.create(connection, step), step.copy
    return Upgraded(versions.database, before, schema.VERSION, copy)


def sql(database_url: str | None = None, since: int = 0) -> str:
    """The statements that lead from version *since* (0: an empty database) to this code's; nothing is connected to.

    Only the kind of database is taken from the URL: SQLite or PostgreSQL.

    Raises:
        InvalidOption: the URL cannot be used, or there is no such version.
    """
    from .store import migrate

    if not 0 <= since <= schema.VERSION:
        raise InvalidOption(f"there is no version {since}; give one from 0 (an empty database) to {schema.VERSION}")
    dialect = parse(_url(database_url)).get_backend_name()
    heading = f"-- actors, {dialect}: from {f'version {since}' if since else 'nothing'} to version {schema.VERSION}\n"
    return heading + (migrate.sql(dialect, since) if since < schema.VERSION else "-- nothing to do\n")


def _url(given: str | None) -> str:
    return given or Settings.from_environment().database_url


def _lasting(given: str | None) -> str:
    url = _url(given)
    if in_memory(parse(url)):
        raise InvalidOption(
            "a database in memory ends with its process and has no older tables; name a file or a server"
        )
    return url


def _found(url: str) -> int | None:
    path = file_of(parse(url))
    if path is not None and not os.path.exists(path):
        return None
    with _transaction(url, read_only=True) as connection:
        return schema.found(connection)


def _migrate(connection: Connection, _: int) -> None:
    from .store import migrate

    migrate.upgrade(connection)


@contextmanager
def _locked(path: str | None) -> Iterator[None]:
    """Be the one working process on the file while the block runs."""
    if path is None:
        yield
        return
    lock = FileLock(path, STOP_FIRST)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _transaction(url: str, *, read_only: bool = False) -> Iterator[Connection]:
    engine = make_engine(url, read_only=read_only, busy_seconds=BUSY_SECONDS)
    try:
        with engine.begin() as connection:
            yield connection
    except ActorsError:
        raise
    except Exception as error:
        words = refusal(error) or passing(error) or told(error)
        raise StorageUnavailable(f"the database {shown(url)} cannot be used: {words}") from error
    finally:
        engine.dispose()

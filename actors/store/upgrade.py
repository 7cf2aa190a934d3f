"""An older SQLite file is brought to this version, once a copy of it lies beside it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime

from sqlalchemy import Connection


class FileUpgrade:
    """What `schema.create` calls for a file whose tables are older. Only who holds the file's lock may have one.

    Called again after a fault, it makes its copy anew, so that one opening leaves one copy at most.

    Args:
        path: of the database.
        now: epoch seconds; they stand in the name of the copy.

    Attributes:
        copy: where the file as it was lies, readable by its owner only; None while no upgrade was made.
    """

    def __init__(self, path: str, now: float) -> None:
        self._path = path
        self._stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        self.copy: str | None = None

    def __call__(self, connection: Connection, found: int) -> None:
        """Copy the file, which *connection*'s transaction keeps others from writing, then migrate in that transaction.

        Raises:
            SchemaMismatch: a migration failed. No copy is left then, since the file stays as it was.
        """
        from . import migrate  # Alembic costs a quarter of a second, and is needed once a release

        copy = f"{self._path}.v{found}-{self._stamp}.backup"
        copy_committed(self._path, copy)
        try:
            migrate.upgrade(connection)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(copy)
            raise
        self.copy = copy


def copy_committed(path: str, target: str) -> None:
    """Copy what is committed in the SQLite file *path* into the file *target*, which is whole or not there.

    SQLite reads the file for us: had we opened and closed it ourselves, this process would have lost its locks on it.
    What a process that died has left unfinished has one name, so that many such deaths leave one such file, until the
    next copy.

    Raises:
        OSError: *target* cannot be made.
        sqlite3.Error: reading or writing failed.
    """
    part = f"{path}.backup-part"
    with suppress(FileNotFoundError):
        os.unlink(part)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            copy.execute("PRAGMA journal_mode=OFF")  # a new file has nothing to go back to
            source.backup(copy)
        os.replace(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise

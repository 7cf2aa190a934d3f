"""The lock of the one working node on an SQLite file, on a file of its own beside it."""

from __future__ import annotations

import fcntl
import os

from ..core.errors import DatabaseInUse, InvalidOption


class FileLock:
    """Held from `acquire` until `release`, or until the process dies, however it dies.

    Args:
        database: the path of the file.
        advice: what one can do who does not get it.
    """

    def __init__(self, database: str, advice: str = "stop that one, or run this one with work=False") -> None:
        self._database = database
        self._advice = advice
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DatabaseInUse: another process has it.
            InvalidOption: the lock file cannot be opened.
        """
        try:
            file = os.open(f"{self._database}-lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InvalidOption(
                f"the database {self._database!r} cannot be used here: its lock file cannot be opened: {error.strerror}"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            raise DatabaseInUse(
                f"the database {self._database!r} is in use by the working node with process id {holder or 'unknown'};"
                f" {self._advice}"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let go of the lock; the file stays, since removing it would let two processes lock two files."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

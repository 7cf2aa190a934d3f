"""What a database error means: pass on, or wait and try again; and what a server's refusal says to people."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

_SQLITE_PASSING: Final = {
    sqlite3.SQLITE_BUSY: "another process holds the write lock",
    sqlite3.SQLITE_LOCKED: "the tables are locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
}

_READ_ONLY: Final = "25006"
_ENDED: Final = "57P01"
_CRASHED: Final = "57P02"
_OF_THE_SESSION: Final = frozenset({_READ_ONLY, _ENDED, _CRASHED})
_LOCKED: Final = "55P03"
_FULL: Final = "the server has too many connections"
_POSTGRES_PASSING: Final = {
    _READ_ONLY: "the server takes no writes",
    "40001": "transactions were in each other's way",
    "40P01": "transactions were in each other's way",
    _LOCKED: "another transaction holds a lock on the tables",
    "53100": "the disk is full",
    "53200": "the server is out of memory",
    "53300": _FULL,
    _ENDED: "the server is shutting down, or has ended the session",
    _CRASHED: "the server has crashed",
    "57P03": "the server is starting",
}

_NO_ROOM: Final = re.compile(r"too many (clients|connections)|remaining connection slots|no more connections allowed")
_NEVER: Final = re.compile(
    r"(password authentication failed|no password supplied|(database|role) \".*\" does not exist|no pg_hba\.conf entry"
    r"|failed to resolve host|permission denied).*"
)


def passing(error: BaseException) -> str | None:
    """Why *error* may pass by itself, in words; None for one that will come again."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _SQLITE_PASSING.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRES_PASSING:
        return _POSTGRES_PASSING[state]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "the connection was lost"
    if state is not None or not isinstance(error, OperationalError):
        return None
    # What comes from a server has a state, but for what it says to one whom it does not let in.
    return _FULL if _NO_ROOM.search(str(cause)) else "the server cannot be reached"


def of_a_lock(error: BaseException) -> bool:
    """Whether a lock was not to be had for as long as a transaction may wait for it."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _LOCKED


def of_the_session(error: BaseException) -> bool:
    """Whether this connection is of no use any more.

    It leads to a replica since a failover, or the server has ended it, which the driver notices a little later.
    """
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _OF_THE_SESSION


def of_the_data(error: BaseException) -> bool:
    """Whether *error* blames a value that no repetition will make this database take: half a character, a number that
    is too large, a text that is too long or holds a NUL."""
    return isinstance(error, DataError | IntegrityError | UnicodeError | OverflowError)


def refusal(error: BaseException) -> str | None:
    """What a server said that lets nobody in, for as long as nobody changes something; None if it did not say so."""
    if not isinstance(error, OperationalError) or isinstance(error.orig, sqlite3.Error):
        return None
    said = str(error.orig).strip().splitlines()[-1]
    found = _NEVER.search(said)
    return None if found is None else said[found.start() :]


def told(error: BaseException) -> str:
    """What *error* says to people, in one line, without what SQLAlchemy and drivers add."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    known = passing(error) if isinstance(cause, sqlite3.Error) else refusal(error)
    return known or str(cause).strip().partition("\n")[0]

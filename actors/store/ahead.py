"""Statements that go to a PostgreSQL server together with others, as one text.

Whoever has waited for an answer waits for the interpreter's lock too, up to 5 ms beside a busy event loop: more than
most statements take. So those whose answers nobody needs at once share one round trip. Each is planned anew, since
psycopg deallocates what others prepare; that costs about as much as a trip to a server on the same machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from .bulk import NUL, NUMBERS

KEY: Final = "actors-ahead"


class Ahead:
    """What waits on one of the driver's connections until something has to be asked, or is to be committed.

    Args:
        driver: a connection of psycopg's, which leaves transactions to us.
    """

    def __init__(self, driver: Any) -> None:
        from psycopg.pq import Escaping

        self._driver = driver
        self._quoted = Escaping(driver.pgconn).escape_literal
        self._encoding: str = driver.info.encoding
        self._opening: list[str] = []
        self._texts: list[str] = []

    def begin(self, statement: str) -> None:
        """Begin a transaction with the first statement that is sent."""
        self._opening, self._texts = [statement], []

    def put(self, sql: str, row: Sequence[Any]) -> None:
        """Have *sql* sent along with what comes next, at the latest with the commit.

        The driver's own way to write its values into a statement takes many times as long.

        Args:
            row: texts, numbers and None.

        Raises:
            TypeError: one of them is something else.
            psycopg.DataError, UnicodeError: no server takes one of the texts.
        """
        self._texts.append(sql % tuple(map(self._literal, row)))

    def _literal(self, value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, NUMBERS):
            return f"'{value!r}'"
        if not isinstance(value, str):
            raise TypeError(f"what waits has a {type(value).__name__}; it should have texts and numbers")
        if NUL in value:
            from psycopg import DataError

            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return bytes(self._quoted(value.encode(self._encoding))).decode(self._encoding)

    def send(self) -> Any:
        """Send what waits, and nothing else; the cursor, at the last one's answer."""
        texts = self._opening + self._texts
        self.forget()
        if not texts:
            return None
        cursor = self._driver.cursor()
        cursor.execute(";\n".join(texts), prepare=False)
        while cursor.nextset():
            pass
        return cursor

    def commit(self) -> None:
        """Commit along with what waits, if anything does; otherwise whoever calls is to do it."""
        if self._texts:
            self._texts.append("COMMIT")
            try:
                self.send()
            except BaseException:
                self._roll_back()
                raise
        self.forget()

    def _roll_back(self) -> None:
        try:
            self._driver.rollback()
        except Exception:  # it is gone, or was interrupted, so that nobody knows what it is at
            self._driver.close()

    def forget(self) -> None:
        """Send nothing of it."""
        self._opening, self._texts = [], []


def of(connection: Connection) -> Ahead | None:
    """What waits in the transaction of *connection*; None: nothing ever does there, or there is none."""
    found: Ahead | None = connection.info.get(KEY) if connection.in_transaction() else None
    return found

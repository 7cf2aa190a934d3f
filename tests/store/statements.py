"""What the store asks of the driver, seen on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from actors.store import prepared
from actors.store.ahead import Ahead

Note = Callable[[Any, str, Sequence[Any]], object]
"""Gets the driver's connection, a statement and its parameters, before it is run."""


@contextmanager
def statements_told(monkeypatch: pytest.MonkeyPatch, note: Note) -> Iterator[None]:
    """In the block, *note* is called for each statement of a `Prepared`."""
    cursor_of, put = prepared.cursor_of, Ahead.put

    def tell(waiting: Ahead, sql: str, parameters: Sequence[Any]) -> None:
        waiting.send()  # what comes before it
        note(waiting._driver, sql, parameters)
        put(waiting, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "cursor_of", lambda connection: _Cursor(cursor_of(connection), note))
        patch.setattr(Ahead, "put", tell)
        yield


@contextmanager
def statements_noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    """The statements that are run in the block, and what they were given."""
    noted: list[tuple[str, Sequence[Any]]] = []
    with statements_told(monkeypatch, lambda _, sql, parameters: noted.append((sql, parameters))):
        yield noted


class _Cursor:
    def __init__(self, cursor: Any, note: Note) -> None:
        self._cursor = cursor
        self._note = note

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        self._note(self._cursor.connection, sql, parameters)
        return self._cursor.execute(sql, parameters)

    def executemany(self, sql: str, rows: Any) -> Any:
        self._note(self._cursor.connection, sql, ())
        return self._cursor.executemany(sql, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

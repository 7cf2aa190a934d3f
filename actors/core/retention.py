"""How long what has ended is kept, and the note that stands in the place of a large result that was removed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs
import orjson

from .stored import plain_text

DAY: Final = 86_400.0


@attrs.frozen
class Retention:
    """How long what has ended is kept, in seconds: tasks that completed, tasks that failed, and large results."""

    completed: float
    failed: float
    large_results: float


LARGE_BYTES: Final = 65_536
"""Results that are longer than this, encoded, are not kept for as long as their tasks."""
MARK: Final = " "
"""What a note's text begins with, in the row. No result's does: they are encoded without white space."""


class ResultNote(str):
    """What `Task.result_data` shows in place of a large result that was removed.

    It is text, so that it can be printed and encoded; a user's own text is a plain `str`.

    Attributes:
        size: bytes that the result was long, encoded.
        removed_at: aware UTC.
    """

    size: int
    removed_at: datetime

    def __new__(cls, size: int, removed_at: datetime) -> ResultNote:
        """The note, in words."""
        when = removed_at.isoformat(" ", "seconds")
        note = super().__new__(
            cls, f"the result of {size:,} bytes was removed at {when}; TASK_LARGE_RESULT_DAYS says how long it is kept"
        )
        note.size, note.removed_at = size, removed_at
        return note

    def __getnewargs__(self) -> tuple[int, datetime]:  # type: ignore[override]  # str's own has the text alone
        return self.size, self.removed_at


def note_text(size: int, removed_at: datetime) -> str:
    """The note as it stands in the row."""
    return MARK + plain_text({"size": size, "removed_at": removed_at.isoformat()})


def note_from(text: str | None) -> ResultNote | None:
    """The note that *text* holds; None if it is a result."""
    if text is None or not text.startswith(MARK):
        return None
    data = orjson.loads(text)
    return ResultNote(data["size"], datetime.fromisoformat(data["removed_at"]))

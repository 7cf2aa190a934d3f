from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from actors.core.codec import dumps
from actors.core.retention import MARK, ResultNote, note_from, note_text

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_note_reads_back_from_its_row() -> None:
    note = note_from(note_text(1_234_567, AT))
    assert note is not None
    assert (note.size, note.removed_at) == (1_234_567, AT)
    assert note == (
        "the result of 1,234,567 bytes was removed at 2026-03-01 12:00:00+00:00;"
        " TASK_LARGE_RESULT_DAYS says how long it is kept"
    )


def test_a_note_can_be_copied_and_encoded_like_the_text_that_it_is() -> None:
    note = ResultNote(70_000, AT)
    again = copy.deepcopy(note)
    assert (again, again.size, again.removed_at) == (note, 70_000, AT)
    assert orjson.loads(orjson.dumps(note)) == note


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"size": 70_000, "removed_at": AT.isoformat()},
        note_text(70_000, AT),
        MARK,
        str(ResultNote(1, AT)),
        [1],
    ],
)
def test_no_result_of_a_user_is_taken_for_a_note(result: Any) -> None:
    assert note_from(dumps(result)) is None

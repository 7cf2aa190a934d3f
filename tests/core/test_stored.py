from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.stored import (
    LONGEST_MESSAGE,
    LONGEST_TRACEBACK,
    error_from,
    error_text,
    plain_text,
    progress_from,
    shortened,
)
from actors.core.task import ErrorInfo, Progress

AT = datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC)
READABLE = st.text(st.characters(exclude_categories=["Cs"]))
ANY_TEXT = st.text(st.characters())


@given(READABLE, READABLE, READABLE, st.integers(0, 2**31), st.datetimes(timezones=st.just(UTC)))
def test_an_error_reads_back_as_it_was_written(
    name: str, message: str, traceback: str, attempt: int, at: datetime
) -> None:
    info = ErrorInfo(name, message, traceback, attempt, at)
    assert error_from(error_text(info)) == info


@given(ANY_TEXT, ANY_TEXT)
def test_an_error_is_stored_whatever_its_text_holds(name: str, message: str) -> None:
    found = error_from(error_text(ErrorInfo(name, message, message, 1, AT)))
    assert found is not None
    assert found.message == message.encode("utf-8", "backslashreplace").decode()


def test_lone_surrogates_stay_visible() -> None:
    found = error_from(error_text(ErrorInfo("E", "bad \ud800 text", "", 1, AT)))
    assert found is not None
    assert found.message == "bad \\ud800 text"


def test_long_messages_and_tracebacks_lose_their_middle() -> None:
    found = error_from(error_text(ErrorInfo("E", "m" * 10**6, "a" * 10**6 + "the cause", 1, AT)))
    assert found is not None
    assert len(found.message) < LONGEST_MESSAGE + 100
    assert len(found.traceback) < LONGEST_TRACEBACK + 100
    assert "characters left out" in found.message
    assert found.traceback.endswith("the cause")


@given(READABLE, st.integers(2, 50))
def test_what_is_short_enough_is_left_whole_and_the_rest_keeps_both_ends(text: str, most: int) -> None:
    cut = shortened(text, most)
    if len(text) <= most:
        assert cut == text
    else:
        assert cut.startswith(text[: most // 2])
        assert cut.endswith(text[-(most // 2) :])
        assert f"… {len(text) - most // 2 * 2} characters left out …" in cut


def test_nothing_reads_back_as_nothing() -> None:
    assert error_from(None) is None
    assert progress_from(None) is None


@given(st.floats(0, 1), READABLE, st.dictionaries(READABLE, st.integers(-(2**53), 2**53)))
def test_progress_reads_back_as_it_was_written(fraction: float, message: str, data: dict[str, int]) -> None:
    text = plain_text({"fraction": fraction, "message": message, "data": data, "at": AT.isoformat()})
    assert progress_from(text) == Progress(fraction, message, data, AT)


@pytest.mark.parametrize("value", [["\ud800"], {"a": ["\ud800", {"\udfff": ("\ud800",)}]}])
def test_lone_surrogates_are_found_wherever_they_are(value: object) -> None:
    assert b"\\\\ud800" in orjson.dumps(orjson.loads(plain_text(value)))


def test_an_error_shows_its_type_and_message() -> None:
    assert str(ErrorInfo("ValueError", "no", "", 1, AT)) == "ValueError: no"
    assert str(ErrorInfo("ValueError", "", "", 1, AT)) == "ValueError"

"""Values on the command line: what is taken, and what is said of the rest."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import click
import pytest

from actors.cli import values


def refusal(convert: Callable[[str], object], text: str) -> str:
    with pytest.raises(click.BadParameter) as caught:
        convert(text)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0", 0), ("1.5", 1.5), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("1w", 604_800),
     ("1h30m", 5400), ("1.5h", 5400)],
)  # fmt: skip
def test_a_duration_has_units(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2 h", "-1", "1e3", "nan", "inf", "2y", "2h!", "٣", "none"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    assert refusal(values.duration, text) == f"{text!r} is no duration; give 90, 90s, 15m, 1h30m or 7d"


def test_a_duration_ends_at_a_hundred_years() -> None:
    assert "at most 100 years" in refusal(values.duration, "99999999999d")


def test_a_limit_may_be_none() -> None:
    assert values.time_limit("None") == math.inf
    assert values.time_limit("10m") == 600


def test_a_time_is_in_iso_format_or_a_distance() -> None:
    assert values.past("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    assert values.past("2026-03-01T12:00:00+02:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    now = datetime.now(UTC)
    assert abs(values.past("2h") - (now - timedelta(hours=2))) < timedelta(minutes=1)
    assert abs(values.future("2h") - (now + timedelta(hours=2))) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9999999999999d", ""])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    assert "2026-03-01" in refusal(values.past, text)


def test_a_task_id_is_whole() -> None:
    whole = "01890A5D-AC96-774B-BCCE-B302099A8057"
    assert values.task_id(whole) == whole.lower()
    assert "give all of it" in refusal(values.task_id, whole[:8])


def test_a_priority_is_a_number_or_a_name() -> None:
    assert [values.priority(text) for text in ("0", "100", "HIGH", "urgent")] == [0, 100, 10, 20]
    assert "did you mean 'high'?" in refusal(values.priority, "hig")
    assert "0 to 100" in refusal(values.priority, "101")


def test_a_payload_is_an_object_from_the_argument_or_from_stdin() -> None:
    assert values.json_object('{"a": [1, null]}') == {"a": [1, None]}
    with mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO('{"a": "ü"}'.encode()))):
        assert values.json_object("-") == {"a": "ü"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1 "b"}', "line 1, column 9, before '\"b\"}'"),
        ('{"a":\n 1,}', "line 2"),
        ("{", "before the end"),
        ("", "before the end"),
        ("[1]", 'it should be an object: {"field": value}'),
        ('{"a": NaN}', "NaN is not in it"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ("[" * 100_000, "nested too deeply"),
        (f'{{"a": {"9" * 5000}}}', "no JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_and_says_where(text: str, words: str) -> None:
    assert words in refusal(values.json_object, text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": "\xff"}'))):
        assert "this is no JSON" in refusal(values.json_object, "-")


def test_every_state_is_a_value_of_status() -> None:
    wanted: Any = values.STATUS.choices
    assert list(wanted) == ["pending", "running", "retrying", "completed", "failed", "cancelled", "timeout"]

"""Lines and tables: aligned, cut to the width, and harmless."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from actors import TaskStatus
from actors.cli import json_text
from actors.cli.terminal import cells_of, complain, cut, table
from actors.cli.times import age, clock, span
from actors.core.printable import plain, plain_lines
from tests.cli.world import HOSTILE


def test_columns_are_aligned() -> None:
    assert table(("id", "name"), [["1", "a"], ["1000", "b"]], None) == ["id    name", "1     a", "1000  b"]


def test_wide_characters_count_twice_and_accents_not_at_all() -> None:
    assert cells_of("日本") == 4
    assert cells_of("e\u0301") == 1
    assert table(("a", "b"), [["日本", "x"], ["ab", "y"]], None)[1:] == ["日本  x", "ab    y"]


def test_the_widest_columns_give_way_and_the_first_one_last() -> None:
    rows = [["0123456789", "short", "n" * 100]]
    head, row = table(("id", "type", "note"), rows, 40)
    assert row == "0123456789  short  " + "n" * 20 + "…"
    assert cells_of(head) <= 40


@pytest.mark.parametrize("width", [1, 5, 8, 20, 60, 200])
def test_no_line_is_wider_than_the_terminal_unless_it_is_absurdly_narrow(width: int) -> None:
    rows = [["0" * 36, "completed", "日本" * 10, "5 m", HOSTILE]]
    lines = table(("id", "state", "type", "age", "note"), rows, width)
    assert max(map(cells_of, lines)) <= max(width, 5 + 4 * 2)


def test_a_remark_gives_way_before_the_short_columns_do() -> None:
    row = ["0" * 36, "cancelled", "type", "12 s", "1", "n" * 200]
    _, line = table(("id", "status", "type", "age", "try", "note"), [row], 72)
    assert line.endswith("type  12 s  1    nnnnn…")


def test_a_value_that_is_cut_says_so() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("日本語", 4) == "日…"
    assert cut("abc", 3) == "abc"


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    shown = plain(HOSTILE)
    assert shown.isprintable()
    assert shown.startswith(r"\x1b[31mred\x07\r\n\u202egnp.exe")
    assert plain("\ud800") == r"\ud800"
    assert plain("naïve 日本") == "naïve 日本"


def test_only_a_new_line_ends_a_line() -> None:
    assert plain_lines("a\r\nb\x85c\u2028d\n") == [r"a\r", r"b\x85c\u2028d"]


def test_json_is_ascii_and_means_the_same() -> None:
    value = {"text": HOSTILE, "lone": "\ud800", "ü": "日本"}
    text = json_text.compact(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


def test_json_knows_times_states_and_records() -> None:
    assert json_text.compact(
        {"at": datetime(2026, 3, 1, tzinfo=UTC), "status": TaskStatus.FAILED, "all": (1, None)}
    ) == ('{"at": "2026-03-01T00:00:00+00:00", "status": "failed", "all": [1, null]}')


def test_a_json_array_has_one_value_a_line() -> None:
    assert json_text.array([]) == "[]"
    assert json_text.array([{"a": 1}, {"a": 2}]) == '[\n{"a": 1},\n{"a": 2}\n]'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.35, "0 s"), (42, "42 s"), (119, "119 s"), (300, "5 m"), (7200, "2 h"), (864_000, "10 d")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_nothing_is_younger_than_now() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert age(datetime(2026, 3, 2, tzinfo=UTC), now) == "0 s"


def test_times_are_to_the_millisecond() -> None:
    assert clock(datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)) == "2026-03-01 12:00:00.123 UTC"
    assert clock(None) == "–"


def test_a_complaint_is_one_harmless_line_without_passwords(capsys: pytest.CaptureFixture[str]) -> None:
    complain("amqp://user:se:cr@et@host/x cannot\x1b[2J\nbe reached")
    assert capsys.readouterr().err == "actors: amqp://user:***@host/x cannot\\x1b[2J\\nbe reached\n"

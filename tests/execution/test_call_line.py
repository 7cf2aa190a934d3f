"""The line on which calls wait that a child has not begun."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from actors.execution.process.call_line import MOST_INLINE, CallLine, next_call


@pytest.fixture
def line() -> Iterator[CallLine]:
    line = CallLine()
    yield line
    line.close()


def test_calls_arrive_one_at_a_time_in_their_order(line: CallLine) -> None:
    assert line.put(1, b"first")
    assert line.put(2, b"")
    line.end()
    assert [next_call(line.theirs) for _ in range(3)] == [(1, b"first"), (2, b""), None]


def test_what_was_not_read_is_taken_back_and_never_read(line: CallLine) -> None:
    for number in (1, 2, 3):
        line.put(number, b"call")
    assert next_call(line.theirs) == (1, b"call")
    assert line.take_back() == {2, 3}
    assert line.take_back() == set()
    line.put(4, b"call")
    assert next_call(line.theirs) == (4, b"call")


def test_a_full_line_says_so_and_nothing_of_it_is_lost(line: CallLine) -> None:
    sent = 0
    while line.put(sent + 1, bytes(1000)):
        sent += 1
    assert sent >= 32
    assert line.take_back() == set(range(1, sent + 1))
    assert line.put(sent + 1, b"")


def test_the_largest_call_arrives_whole(line: CallLine) -> None:
    assert line.put(1, b"x" * MOST_INLINE)
    assert next_call(line.theirs) == (1, b"x" * MOST_INLINE)


def test_taking_back_does_not_make_the_childs_end_impatient(line: CallLine) -> None:
    line.take_back()
    assert line.theirs.getblocking()
    assert line.theirs.type == socket.SOCK_DGRAM

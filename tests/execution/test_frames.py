"""Messages that arrive in pieces."""

from __future__ import annotations

from typing import Any

import pytest

from actors.execution.process.frames import Frames, frame

MESSAGES: list[list[Any]] = [["word", 1, 0.5, "half", None], [], ["returned", "x" * 100_000]]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 1000, 1_000_000])
def test_messages_arrive_whole_and_in_order_whatever_the_pieces(size: int) -> None:
    sent, frames, received = b"".join(frame(*message) for message in MESSAGES), Frames(), []
    for start in range(0, len(sent), size):
        received += frames.feed(sent[start : start + size])
    assert received == MESSAGES


def test_text_that_has_no_utf_8_form_is_escaped() -> None:
    assert Frames().feed(frame("log", {"msg": "\ud800"})) == [["log", {"msg": "\\ud800"}]]

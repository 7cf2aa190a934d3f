"""The watch over the event loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
import trio
import trio.testing

from actors.system.lag import BLOCKED_SECONDS, LOOK_SECONDS, LoopWatch
from tests.system.world import Hands

LOOKS = int(BLOCKED_SECONDS / LOOK_SECONDS)


@pytest.fixture
def hands() -> Hands:
    """The watch's clock."""
    return Hands(100.0)


@pytest.fixture
async def watch(hands: Hands) -> LoopWatch:
    """A watch over this test's event loop; what does not checkpoint blocks it."""
    return LoopWatch(None, hands)


def look(watch: LoopWatch, hands: Hands, times: int, every: float = LOOK_SECONDS) -> None:
    """Look some times, as the writer's timer does."""
    for _ in range(times):
        hands.now += every
        assert watch.tick(None) == LOOK_SECONDS


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_loop_that_answers_raises_no_alarm(
    watch: LoopWatch, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * LOOKS):
        look(watch, hands, 1)
        await trio.testing.wait_all_tasks_blocked()
    assert warnings(caplog) == []


async def test_a_loop_that_does_not_answer_is_told_of_once_each_time(
    watch: LoopWatch, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    look(watch, hands, 1 + LOOKS - 1)
    assert warnings(caplog) == []
    look(watch, hands, 1)
    (warning,) = warnings(caplog)
    assert "has not answered for 1.0 s" in warning
    look(watch, hands, 10 * LOOKS)
    assert len(warnings(caplog)) == 1
    await trio.testing.wait_all_tasks_blocked()
    look(watch, hands, 1 + LOOKS)
    assert len(warnings(caplog)) == 2


async def test_the_stack_begins_in_the_task_that_blocks_the_loop(
    watch: LoopWatch, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    async def blocks() -> None:
        look(watch, hands, 1 + LOOKS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(blocks, name="the culprit")
    (warning,) = warnings(caplog)
    assert "'the culprit', which is no handler," in warning
    assert warning.split("It is here:\n")[1].splitlines()[0].endswith("in blocks")


async def test_a_process_that_was_suspended_raises_no_alarm(
    watch: LoopWatch, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        look(watch, hands, 1)
        look(watch, hands, 1, every=3600.0)  # the writer's thread slept too, so that nobody had a chance to answer
        await trio.testing.wait_all_tasks_blocked()
    assert warnings(caplog) == []


async def test_it_watches_from_another_thread(caplog: pytest.LogCaptureFixture) -> None:
    watch, stop = LoopWatch(None), threading.Event()

    def knock() -> None:
        while not stop.wait(watch.tick(None)):
            pass

    def told() -> bool:
        return bool(warnings(caplog))

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        block_until(told)
    finally:
        stop.set()
        thread.join()
    assert "in block_until" in caplog.text


def block_until(condition: Callable[[], bool]) -> None:
    """Hold up the event loop."""
    give_up_at = time.monotonic() + 10 * BLOCKED_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at

"""The stages of a stop, for handlers in processes. The children are real, and so is the time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.core.outcome import Cancelled, Finished, Outcome, Returned, TimedOut
from actors.core.stop import StopReason
from actors.execution.attempt import Attempt
from tests.execution import process_handlers as handlers
from tests.execution.processes import SOON, Processes, begun, lives, processes
from tests.waiting import until

ANSWERS = {
    StopReason.CANCEL: Cancelled,
    StopReason.SHUTDOWN: Returned,
    StopReason.SOFT_TIMEOUT: TimedOut,
}
LIMITS = {"soft_timeout_seconds": 2.0, "timeout_seconds": 5.0}
reasons = pytest.mark.parametrize("reason", list(StopReason))


class Ran:
    """An attempt that runs, and later its outcome."""

    def __init__(self, attempt: Attempt, numbers: list[int]) -> None:
        self.attempt = attempt
        self.numbers = numbers
        self.outcomes: list[Outcome] = []

    async def ended(self) -> Outcome:
        """What it came to."""
        await until(lambda: bool(self.outcomes), SOON)
        return self.outcomes[0]


@asynccontextmanager
async def running(run: Processes, function: Callable[..., Any], path: Path) -> AsyncIterator[Ran]:
    """Run an attempt at *function*, which has touched *path* when the block begins."""
    ran = Ran(run.call(function, limits=LIMITS, path=str(path)), [])

    async def to_its_end() -> None:
        ran.outcomes.append(await ran.attempt.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(to_its_end)
        ran.numbers = await begun(path)
        yield ran


@reasons
async def test_a_handler_that_gives_up_when_asked_to_ends_by_the_reason(reason: StopReason, tmp_path: Path) -> None:
    async with processes() as run:
        child = await run.result(handlers.who)
        async with running(run, handlers.until_stopped, tmp_path / "begun") as ran:
            ran.attempt.stop(reason)
            assert isinstance(await ran.ended(), ANSWERS[reason])
        assert await run.result(handlers.who) == child


@pytest.mark.parametrize("reason", [StopReason.SOFT_TIMEOUT, StopReason.SHUTDOWN])
async def test_a_handler_that_finishes_after_its_soft_stage_has_finished(reason: StopReason, tmp_path: Path) -> None:
    async with processes() as run, running(run, handlers.finish_when_stopped, tmp_path / "begun") as ran:
        ran.attempt.stop(reason)
        assert await ran.ended() == Finished(f'"{reason.value}"')


async def test_what_a_cancelled_handler_still_says_is_dropped(tmp_path: Path) -> None:
    async with processes() as run, running(run, handlers.finish_when_stopped, tmp_path / "begun") as ran:
        ran.attempt.stop(StopReason.CANCEL)
        assert await ran.ended() == Cancelled()


async def test_a_stop_that_comes_before_its_call_is_heard_all_the_same(tmp_path: Path) -> None:
    async with processes() as run:
        attempt = run.call(handlers.finish_when_stopped, path=str(tmp_path / "begun"))
        attempt.stop(StopReason.SHUTDOWN)
        assert await attempt.run() == Finished('"shutdown"')


async def test_a_stop_is_of_its_own_call_alone(tmp_path: Path) -> None:
    async with processes() as run:
        async with running(run, handlers.finish_when_stopped, tmp_path / "begun") as ran:
            ran.attempt.stop(StopReason.SHUTDOWN)
            await ran.ended()
        async with running(run, handlers.finish_when_stopped, tmp_path / "again") as ran:
            ran.attempt.stop(StopReason.SOFT_TIMEOUT)
            assert await ran.ended() == Finished('"soft_timeout"')


@reasons
@pytest.mark.parametrize("function", [handlers.compute, handlers.swallow_the_stop], ids=["deaf", "swallows-it"])
async def test_the_hard_stage_kills_a_handler_that_goes_on(
    function: Callable[..., Any], reason: StopReason, tmp_path: Path
) -> None:
    path = tmp_path / "begun"
    async with processes() as run, running(run, function, path) as ran:
        path.unlink()
        ran.attempt.stop(reason)
        if function is handlers.swallow_the_stop:
            await begun(path)
        (child,) = [child for child in run.pool.children if child.calls]
        began = trio.current_time()
        ran.attempt.force(reason)
        assert isinstance(await ran.ended(), ANSWERS[reason])
        assert trio.current_time() - began < 0.5
        assert not lives(child.pid)
        assert await run.result(handlers.double, number=2) == 4


async def test_the_hard_stage_kills_what_the_handler_has_started_too(tmp_path: Path) -> None:
    async with processes() as run, running(run, handlers.compute_with_a_family, tmp_path / "begun") as ran:
        assert [lives(pid) for pid in ran.numbers] == [True] * 3
        ran.attempt.force(StopReason.CANCEL)
        assert await ran.ended() == Cancelled()
        await until(lambda: not any(lives(pid) for pid in ran.numbers), 1.0)


async def test_an_attempt_that_is_forced_while_it_waits_for_a_child_leaves_nothing_behind(tmp_path: Path) -> None:
    async with processes() as run:
        async with running(run, handlers.until_stopped, tmp_path / "begun") as first:
            waiting = run.call(handlers.double, number=1)
            waiting.force(StopReason.SHUTDOWN)
            assert await waiting.run() == Returned()
            first.attempt.stop(StopReason.CANCEL)
        assert await run.result(handlers.double, number=2) == 4

"""What a handler knows of its attempt, and what it can say."""

from __future__ import annotations

import logging
import math
from datetime import timedelta

import pytest
import trio

from actors import TaskContext
from actors.core.control import StopRequested
from actors.core.errors import InvalidOption, NotRunning
from actors.core.outcome import Finished
from actors.core.stop import StopReason
from actors.core.task import Progress, moment
from actors.execution.context import current, log, progress
from tests.execution.world import NOW, Runs, child, claimed


def context(words: list[Progress] | None = None, **values: object) -> TaskContext:
    """The context of a claimed task."""
    said: list[Progress] = [] if words is None else words
    return TaskContext(claimed(**values), said.append, child)  # type: ignore[arg-type]  # the values are claimed's to check


def test_a_context_says_what_is_known_of_the_attempt() -> None:
    ctx = context(
        seq=7, attempt=3, retry_count=2, priority=20, input_data='{"page":1}', metadata='{"user":"x"}',
        timeout_seconds=10.0, soft_timeout_seconds=4.0,
    )  # fmt: skip
    assert ctx.task_id == "00000000-0000-0000-0000-000000000007"
    assert (ctx.task_type, ctx.attempt, ctx.retry_count, ctx.max_retries, ctx.priority) == ("work", 3, 2, 3, 20)
    assert ctx.input_data == {"page": 1}
    assert ctx.metadata == {"user": "x"}
    assert ctx.deadline == moment(NOW) + timedelta(seconds=10)
    assert ctx.soft_deadline == moment(NOW) + timedelta(seconds=4)
    assert repr(ctx) == "<TaskContext 'work' 00000000-0000-0000-0000-000000000007 attempt 3>"


def test_the_deadlines_count_from_the_start_of_the_attempt_where_that_is_known() -> None:
    task = claimed(timeout_seconds=10.0, soft_timeout_seconds=4.0)
    ctx = TaskContext(task, lambda _: None, child, began_at=NOW + 0.5)
    assert ctx.deadline == moment(NOW) + timedelta(seconds=10.5)
    assert ctx.soft_deadline == moment(NOW) + timedelta(seconds=4.5)


def test_without_limits_and_metadata_there_are_none() -> None:
    ctx = context()
    assert ctx.deadline is None
    assert ctx.soft_deadline is None
    assert ctx.metadata == {}


def test_progress_is_reported_with_its_data() -> None:
    words: list[Progress] = []
    context(words).progress(1, "half", pages=3)
    assert words == [Progress(1.0, "half", {"pages": 3})]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, math.inf, "0.5", None])
def test_a_fraction_outside_of_0_to_1_is_refused(fraction: float) -> None:
    words: list[Progress] = []
    with pytest.raises(InvalidOption, match="it should be a number from 0 to 1"):
        context(words).progress(fraction)
    assert words == []


def test_check_raises_once_the_attempt_should_stop() -> None:
    ctx = context()
    ctx.check()
    ctx.stop(StopReason.SHUTDOWN)
    with pytest.raises(StopRequested) as caught:
        ctx.check()
    assert caught.value.reason is StopReason.SHUTDOWN


def test_the_first_reason_stays_but_for_a_cancel() -> None:
    ctx = context()
    ctx.stop(StopReason.SOFT_TIMEOUT)
    reasons = []
    for reason in (StopReason.SHUTDOWN, StopReason.CANCEL, StopReason.SHUTDOWN):
        ctx.stop(reason)
        reasons.append(ctx.stopping)
    assert reasons == [StopReason.SOFT_TIMEOUT, StopReason.CANCEL, StopReason.CANCEL]


async def test_until_stopping_is_cut_short_at_the_stop() -> None:
    ctx = context()
    with ctx.until_stopping() as outer, ctx.until_stopping():
        ctx.stop(StopReason.CANCEL)
        await trio.sleep(math.inf)
    assert outer.cancel_called
    assert ctx.interrupted


async def test_until_stopping_after_the_stop_is_cut_short_at_once() -> None:
    ctx = context()
    ctx.stop(StopReason.SHUTDOWN)
    with ctx.until_stopping():
        await trio.sleep(math.inf)
    assert ctx.interrupted


async def test_a_stop_after_the_scope_interrupts_nothing() -> None:
    ctx = context()
    with ctx.until_stopping():
        await trio.lowlevel.checkpoint()
    ctx.stop(StopReason.SHUTDOWN)
    await trio.lowlevel.checkpoint()
    assert not ctx.interrupted


async def test_a_scope_that_ends_before_it_notices_the_stop_was_not_interrupted() -> None:
    ctx = context()
    with ctx.until_stopping():
        ctx.stop(StopReason.SHUTDOWN)
    assert not ctx.interrupted


async def test_an_error_leaves_the_scope_as_it_is() -> None:
    ctx = context()
    with pytest.raises(ValueError, match="own"), ctx.until_stopping():
        raise ValueError("own")
    ctx.stop(StopReason.CANCEL)
    assert not ctx.interrupted


def test_log_records_carry_the_names_of_the_attempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ctx = context(attempt=2)
    ctx.log.info("read %d pages", 3, extra={"file": "x.pdf"})
    ctx.log.info("done")
    first, second = caplog.records
    assert first.getMessage() == "read 3 pages"
    assert first.name == "actors.task"
    assert vars(first) | {"task_id": ctx.task_id, "task_type": "work", "attempt": 2, "file": "x.pdf"} == vars(first)
    assert vars(second) | {"task_id": ctx.task_id} == vars(second)


def test_the_log_of_all_attempts_binds_nothing_outside_of_one(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("outside")
    (record,) = caplog.records
    assert not hasattr(record, "task_id")


def test_what_is_said_after_the_end_is_not_heard() -> None:
    words: list[Progress] = []
    ctx = context(words)
    ctx.progress(0.5)
    ctx.end()
    ctx.progress(1)
    assert [word.fraction for word in words] == [0.5]


async def test_the_log_and_progress_of_all_attempts_are_those_of_the_one_that_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        log.warning("inside")
        progress(0.5, "half", pages=3)

    runs = Runs()
    attempt = runs.attempt(work)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt.run)
    (record,) = caplog.records
    assert vars(record)["task_id"] == attempt.task.task_id
    assert runs.words == [Progress(0.5, "half", {"pages": 3})]


async def test_outside_of_a_task_there_is_no_current_one() -> None:
    with pytest.raises(NotRunning, match="no task runs here"):
        current()


async def test_current_is_the_attempts_own_in_each_mode_and_does_not_leak() -> None:
    async def as_a_coroutine() -> str:
        return current().task_id

    def in_a_thread() -> str:
        return current().task_id

    runs = Runs()
    attempts = [runs.attempt(function, seq=seq) for seq, function in enumerate((as_a_coroutine, in_a_thread), 1)]
    outcomes: dict[int, object] = {}

    async def run(place: int) -> None:
        outcomes[place] = await attempts[place].run()

    async with trio.open_nursery() as nursery:
        for place in range(2):
            nursery.start_soon(run, place)
    assert outcomes == {place: Finished(f'"{attempts[place].task.task_id}"') for place in range(2)}
    with pytest.raises(NotRunning):
        current()

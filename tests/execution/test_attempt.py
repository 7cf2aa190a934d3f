"""What attempts come to, in each mode."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors import Abort, Retry, Snooze, TaskContext
from actors.core.control import StopRequested
from actors.core.errors import InvalidPayload
from actors.core.outcome import Cancelled, Finished, Outcome, Raised, Returned, TimedOut
from actors.core.stop import StopReason
from actors.execution.attempt import Attempt
from actors.execution.context import current
from tests.execution.world import Runs
from tests.mute import BadNotes, MuteError
from tests.waiting import until

ANSWERS = {
    StopReason.CANCEL: Cancelled,
    StopReason.SHUTDOWN: Returned,
    StopReason.SOFT_TIMEOUT: TimedOut,
}
LIMITS = {"soft_timeout_seconds": 2.0, "timeout_seconds": 5.0}


def in_mode(mode: str, function: Callable[[TaskContext], Any]) -> Callable[[TaskContext], Any]:
    """*function* as a handler of the mode."""

    def in_a_thread(ctx: TaskContext):  # type: ignore[no-untyped-def]  # a return annotation would check results
        return function(ctx)

    async def as_a_coroutine(ctx: TaskContext):  # type: ignore[no-untyped-def]  # likewise
        return function(ctx)

    return as_a_coroutine if mode == "coroutine" else in_a_thread


def raising(error: BaseException) -> Callable[[TaskContext], None]:
    """The body of a handler that raises *error*."""

    def body(_: TaskContext) -> None:
        raise error

    return body


async def raised(attempt: Attempt) -> Raised:
    """Run *attempt*, which raises."""
    outcome = await attempt.run()
    assert isinstance(outcome, Raised)
    return outcome


@pytest.fixture(params=["coroutine", "thread"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each mode in turn."""
    return str(request.param)


async def test_a_result_is_kept_as_json(mode: str) -> None:
    attempt = Runs().attempt(in_mode(mode, lambda _: {"pages": [1, 2]}))
    assert await attempt.run() == Finished('{"pages":[1,2]}')
    assert not attempt.still_runs


async def test_arguments_are_read_from_the_payload() -> None:
    async def work(count: int, word: str = "one") -> str:
        return word * count

    assert await Runs().attempt(work, input_data='{"count":2}').run() == Finished('"oneone"')


async def test_an_error_is_kept_with_its_type_message_and_traceback(mode: str) -> None:
    attempt = Runs().attempt(in_mode(mode, raising(ValueError("no such page"))), attempt=4)
    outcome = await raised(attempt)
    assert isinstance(outcome.error, ValueError)
    assert (outcome.info.type, outcome.info.message, outcome.info.attempt) == ("ValueError", "no such page", 4)
    assert "in body" in outcome.info.traceback
    assert not outcome.final


async def test_a_group_stands_for_its_first_error_and_the_others_are_logged(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    inner = ExceptionGroup("inner", [KeyError("first"), ValueError("second")])
    outcome = await raised(Runs().attempt(in_mode(mode, raising(ExceptionGroup("outer", [inner])))))
    assert isinstance(outcome.error, KeyError)
    assert outcome.info.type == "KeyError"
    assert "second" in outcome.info.traceback
    assert len(caplog.records) == 2


async def test_a_result_that_json_cannot_keep_fails_for_good(mode: str) -> None:
    outcome = await raised(Runs().attempt(in_mode(mode, lambda _: object())))
    assert isinstance(outcome.error, InvalidPayload)
    assert outcome.final


async def test_a_payload_that_no_longer_fits_fails_for_good_and_starts_nothing(mode: str) -> None:
    started: list[TaskContext] = []
    outcome = await raised(Runs().attempt(in_mode(mode, started.append), input_data='{"unknown":1}'))
    assert isinstance(outcome.error, InvalidPayload)
    assert outcome.final
    assert started == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "the handler called sys.exit(3)"),
        (BaseExceptionGroup("nursery", [SystemExit("bye")]), "the handler called sys.exit('bye')"),
        (BaseExceptionGroup("nursery", [ValueError(), SystemExit()]), "the handler called sys.exit(None)"),
        (KeyboardInterrupt(), "the handler raised KeyboardInterrupt, which is no Exception"),
        (GeneratorExit(), "the handler raised GeneratorExit, which is no Exception"),
        (BaseExceptionGroup("nursery", [GeneratorExit()]), "the handler raised GeneratorExit, which is no Exception"),
        (MuteError(), "the handler raised MuteError, which is no Exception"),
        (BaseException("panic"), "the handler raised BaseException, which is no Exception"),
    ],
    ids=[
        "exit",
        "exit-in-a-nursery",
        "exit-beside-an-error",
        "interrupt",
        "generator-exit",
        "generator-exit-in-a-nursery",
        "mute",
        "no-exception",
    ],
)
async def test_what_would_end_the_process_fails_its_own_attempt_alone(
    mode: str, error: BaseException, words: str
) -> None:
    outcome = await raised(Runs().attempt(in_mode(mode, raising(error))))
    assert isinstance(outcome.error, RuntimeError)
    assert outcome.info.message == words
    assert not outcome.final


async def test_a_cancel_from_outside_does_not_reach_a_handler() -> None:
    async def work() -> str:
        await trio.lowlevel.checkpoint()
        return "done"

    attempt = Runs().attempt(work)
    with trio.CancelScope() as scope:
        scope.cancel()
        assert await attempt.run() == Finished('"done"')


@pytest.mark.parametrize("reason", list(StopReason))
async def test_a_handler_that_gives_up_when_asked_to_ends_by_the_reason(mode: str, reason: StopReason) -> None:
    attempt = Runs().attempt(in_mode(mode, TaskContext.check), **LIMITS)
    attempt.context.noticed = True
    attempt.stop(reason)
    assert isinstance(await attempt.run(), ANSWERS[reason])


@pytest.mark.parametrize("reason", list(StopReason))
async def test_giving_up_inside_of_a_nursery_is_giving_up_too(reason: StopReason) -> None:
    async def work(ctx: TaskContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(check, ctx)

    async def check(ctx: TaskContext) -> None:
        ctx.check()

    attempt = Runs().attempt(work, **LIMITS)
    attempt.context.noticed = True
    attempt.stop(reason)
    assert isinstance(await attempt.run(), ANSWERS[reason])


async def test_giving_up_unasked_is_an_error() -> None:
    outcome = await raised(Runs().attempt(in_mode("coroutine", raising(StopRequested(StopReason.SHUTDOWN)))))
    assert isinstance(outcome.error, StopRequested)


async def run_and(attempt: Attempt, act: Callable[[], object]) -> Outcome:
    """Run *attempt*, and *act* when it waits."""
    outcomes: list[Outcome] = []

    async def run() -> None:
        outcomes.append(await attempt.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        act()
    return outcomes[0]


@pytest.mark.parametrize("reason", list(StopReason))
async def test_the_hard_stage_ends_a_handler_by_the_reason(reason: StopReason) -> None:
    attempt = Runs().attempt(trio.sleep_forever, **LIMITS)
    assert isinstance(await run_and(attempt, lambda: attempt.force(reason)), ANSWERS[reason])


@pytest.mark.parametrize("reason", list(StopReason))
async def test_an_error_at_the_hard_stage_changes_nothing(reason: StopReason) -> None:
    async def work() -> None:
        try:
            await trio.sleep(math.inf)
        finally:
            raise ValueError("in the clean-up")

    attempt = Runs().attempt(work, **LIMITS)
    assert isinstance(await run_and(attempt, lambda: attempt.force(reason)), ANSWERS[reason])


@pytest.mark.parametrize("ending", [lambda _: "done", raising(ValueError())], ids=["returns", "raises"])
async def test_whatever_a_cancelled_handler_still_says_is_dropped(
    mode: str, ending: Callable[[TaskContext], object]
) -> None:
    attempt = Runs().attempt(in_mode(mode, ending))
    attempt.context.noticed = True
    attempt.stop(StopReason.CANCEL)
    assert await attempt.run() == Cancelled()


async def test_a_handler_that_finishes_after_its_soft_stage_has_finished(mode: str) -> None:
    for reason in (StopReason.SOFT_TIMEOUT, StopReason.SHUTDOWN):
        attempt = Runs().attempt(in_mode(mode, lambda _: "done"))
        attempt.stop(reason)
        assert await attempt.run() == Finished('"done"')


async def test_an_error_after_the_soft_stage_is_the_handlers_own(mode: str) -> None:
    attempt = Runs().attempt(in_mode(mode, raising(ValueError())))
    attempt.stop(StopReason.SHUTDOWN)
    assert isinstance((await raised(attempt)).error, ValueError)


@pytest.mark.parametrize("error", [None, ValueError("in the clean-up")], ids=["returns", "raises"])
async def test_work_that_a_shutdown_cut_short_is_given_back(error: Exception | None) -> None:
    async def work(ctx: TaskContext) -> str:
        with ctx.until_stopping():
            await trio.sleep(math.inf)
        if error is not None:
            raise error
        return "cleaned up"

    attempt = Runs().attempt(work)
    assert await run_and(attempt, lambda: attempt.stop(StopReason.SHUTDOWN)) == Returned()


async def test_a_cancel_ends_a_coroutine_that_cannot_notice_at_once() -> None:
    attempt = Runs().attempt(trio.sleep_forever)
    assert await run_and(attempt, lambda: attempt.stop(StopReason.CANCEL)) == Cancelled()


async def test_a_cancel_lets_a_coroutine_clean_up_that_asked_for_its_context() -> None:
    async def work() -> None:
        with current().until_stopping():
            await trio.sleep(math.inf)
        await trio.lowlevel.checkpoint()
        cleaned.append("up")

    cleaned: list[str] = []
    attempt = Runs().attempt(work)
    assert await run_and(attempt, lambda: attempt.stop(StopReason.CANCEL)) == Cancelled()
    assert cleaned == ["up"]


async def test_the_first_force_counts() -> None:
    attempt = Runs().attempt(trio.sleep_forever, **LIMITS)
    attempt.force(StopReason.SHUTDOWN)
    attempt.force(StopReason.SOFT_TIMEOUT)
    assert await attempt.run() == Returned()


@pytest.mark.parametrize(
    ("limits", "force", "words"),
    [
        ({"timeout_seconds": 5.0}, True, "stopped at its time limit of 5 s"),
        (LIMITS, True, "stopped at its time limit of 5 s"),
        (LIMITS, False, "stopped at its soft limit of 2 s"),
        ({"soft_timeout_seconds": 2.0}, False, "stopped at its soft limit of 2 s"),
    ],
    ids=["hard", "hard-after-soft", "soft", "soft-alone"],
)
async def test_a_time_out_names_the_limit(limits: dict[str, float], force: bool, words: str) -> None:
    attempt = Runs().attempt(in_mode("coroutine", TaskContext.check), **limits)
    (attempt.force if force else attempt.stop)(StopReason.SOFT_TIMEOUT)
    outcome = await attempt.run()
    assert isinstance(outcome, TimedOut)
    assert (outcome.info.type, outcome.info.message) == ("TaskTimedOut", words)


async def test_a_shutdown_forces_an_attempt_that_has_a_soft_limit_alone() -> None:
    attempt = Runs().attempt(in_mode("thread", TaskContext.check), soft_timeout_seconds=2.0)
    attempt.stop(StopReason.SOFT_TIMEOUT)
    attempt.force(StopReason.SHUTDOWN)
    assert await attempt.run() == Returned()


@pytest.mark.parametrize("word", [Retry(after=3), Snooze(3), Abort("useless")], ids=["retry", "snooze", "abort"])
async def test_control_exceptions_carry_no_traceback(word: Exception) -> None:
    outcome = await raised(Runs().attempt(in_mode("coroutine", raising(word))))
    assert outcome.error is word
    assert outcome.info.traceback == ""


async def test_an_error_whose_message_cannot_be_made_is_kept_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise KeyError

    outcome = await raised(Runs().attempt(in_mode("coroutine", raising(Mute()))))
    assert outcome.info.message == "<its message cannot be made: KeyError>"
    assert outcome.info.type.endswith("Mute")


async def test_an_error_whose_traceback_cannot_be_made_is_kept_without_one(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: BaseException) -> list[str]:
        raise ValueError("some errors make it fail before Python 3.13")

    monkeypatch.setattr("actors.execution.faults.traceback.format_exception", fail)
    outcome = await raised(Runs().attempt(in_mode(mode, raising(BadNotes("noted")))))
    assert (outcome.info.type, outcome.info.message) == ("BadNotes", "noted")
    assert outcome.info.traceback == "the traceback cannot be made: ValueError"


async def test_the_outcome_of_what_cannot_be_described_names_its_type(caplog: pytest.LogCaptureFixture) -> None:
    outcome = Runs().attempt(trio.sleep_forever, attempt=2).unexplained(MuteError())
    assert isinstance(outcome, Raised)
    assert (outcome.info.type, outcome.info.message, outcome.info.attempt) == (
        "MuteError", "an error that cannot be described", 2,
    )  # fmt: skip
    assert not outcome.final
    assert "raised MuteError, which cannot be described" in caplog.text


@pytest.mark.parametrize("mode", ["coroutine", "thread"])
async def test_an_attempt_that_has_ended_is_freed_without_the_garbage_collector(mode: str) -> None:
    attempt = Runs().attempt(in_mode(mode, lambda ctx: ctx.progress(1)))
    held = weakref.ref(attempt.surroundings)  # by nothing else
    gc.disable()
    try:
        async with trio.open_nursery() as nursery:  # for a context of its own, which holds the attempt too
            nursery.start_soon(attempt.run)
        attempt.close()
        del attempt
        await until(lambda: held() is None)  # the thread may be slow to let go of what it has run
    finally:
        gc.enable()


async def test_an_attempt_shows_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    attempt = Runs().attempt(trio.sleep_forever, attempt=2)
    assert repr(attempt) == "<Attempt 2 of 'work' 00000000-0000-0000-0000-000000000001>"
    caplog.set_level(logging.INFO)
    assert attempt.seconds == 0

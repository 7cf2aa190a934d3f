from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.control import Abort, Retry, Snooze
from actors.core.lifecycle import Transition, sources
from actors.core.outcome import (
    AttemptOutcome,
    Cancelled,
    Change,
    Finished,
    Outcome,
    Raised,
    Returned,
    TimedOut,
    decide,
)
from actors.core.request import Claimed
from actors.core.retry import RetryPolicy
from actors.core.task import LATEST, ErrorInfo, TaskStatus

NOW = 1_700_000_000.0
POLICY = RetryPolicy(jitter=False, base_delay=2.0, never_on=(KeyError,))
TASK = Claimed(
    seq=7, task_id="id", task_type="mail", lane="coroutine", mode="coroutine", priority=5, input_data="{}",
    metadata=None, created_at=NOW - 9, due_at=NOW - 8, started_at=NOW - 3, attempt=4, retry_count=1, crash_count=0,
    crashes_seen=0, max_retries=3, timeout_seconds=None, soft_timeout_seconds=None, claimed_as="pending", alone=0,
)  # fmt: skip
SPENT = TASK._replace(retry_count=3)
INFO = ErrorInfo("ValueError", "no", "", 4, datetime(2024, 1, 1, tzinfo=UTC))


def decided(outcome: Outcome, task: Claimed = TASK, policy: RetryPolicy = POLICY) -> Change:
    change = decide(task, outcome, policy, NOW, 3.0, 0.5)
    assert (change.seq, change.attempt, change.task_id, change.task_type) == (7, 4, "id", "mail")
    assert (change.at, change.started_at, change.seconds) == (NOW, NOW - 3, 3.0)
    return change


def what(change: Change) -> tuple[Transition, AttemptOutcome | None, float | None]:
    return change.transition, change.outcome, change.due_at


def test_a_finished_attempt_completes_the_task_and_leaves_no_attempt_row() -> None:
    change = decided(Finished('"ok"'))
    assert what(change) == (Transition.COMPLETE, None, None)
    assert (change.result, change.error) == ('"ok"', None)


@pytest.mark.parametrize("task", [TASK, SPENT])
def test_cancels_and_shutdowns_do_not_ask_for_retries_that_are_left(task: Claimed) -> None:
    assert what(decided(Cancelled(), task)) == (Transition.CANCEL, AttemptOutcome.CANCELLED, None)
    assert what(decided(Returned(), task)) == (Transition.GIVE_BACK, AttemptOutcome.RETURNED, None)


def test_an_error_is_tried_again_after_the_delay_of_the_policy() -> None:
    change = decided(Raised(ValueError("no"), INFO))
    assert what(change) == (Transition.RETRY, AttemptOutcome.FAILED, NOW + 4.0)  # the second retry
    assert change.error is INFO


def test_an_error_without_retries_left_fails() -> None:
    assert what(decided(Raised(ValueError("no"), INFO), SPENT)) == (Transition.FAIL, AttemptOutcome.FAILED, None)


@pytest.mark.parametrize(
    "outcome", [Raised(KeyError(), INFO), Raised(Abort("gone"), INFO), Raised(ValueError(), INFO, final=True)]
)
def test_what_another_try_cannot_help_fails_at_once(outcome: Raised) -> None:
    change = decided(outcome)
    assert what(change) == (Transition.FAIL, AttemptOutcome.FAILED, None)
    assert change.error is INFO


def test_a_handler_may_say_when_it_is_tried_again() -> None:
    assert what(decided(Raised(Retry(after=50), INFO))) == (Transition.RETRY, AttemptOutcome.FAILED, NOW + 50)
    assert what(decided(Raised(Retry(), INFO))) == (Transition.RETRY, AttemptOutcome.FAILED, NOW + 4.0)
    assert what(decided(Raised(Retry(after=50), INFO), SPENT)) == (Transition.FAIL, AttemptOutcome.FAILED, None)


def test_the_next_attempt_is_never_later_than_a_row_may_say() -> None:
    late = TASK._replace(retry_count=0)
    for error in (Snooze(50), Retry(after=50), ValueError()):
        assert decide(late, Raised(error, INFO), POLICY, LATEST - 1, 3.0, 0.5).due_at == LATEST


@pytest.mark.parametrize("task", [TASK, SPENT])
def test_a_snooze_counts_nothing_and_needs_no_retry_left(task: Claimed) -> None:
    change = decided(Raised(Snooze(30), INFO), task)
    assert what(change) == (Transition.SNOOZE, AttemptOutcome.SNOOZED, NOW + 30)
    assert change.error is None


def test_a_timeout_is_tried_again_if_the_policy_says_so() -> None:
    change = decided(TimedOut(INFO))
    assert what(change) == (Transition.RETRY, AttemptOutcome.TIMED_OUT, NOW + 4.0)
    assert change.error is INFO
    never = attrs.evolve(POLICY, retry_on_timeout=False)
    assert what(decided(TimedOut(INFO), policy=never)) == (Transition.TIME_OUT, AttemptOutcome.TIMED_OUT, None)
    assert what(decided(TimedOut(INFO), SPENT)) == (Transition.TIME_OUT, AttemptOutcome.TIMED_OUT, None)


OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Finished, st.just("null")),
    st.just(Cancelled()),
    st.just(Returned()),
    st.just(TimedOut(INFO)),
    st.sampled_from([ValueError(), KeyError(), Abort("x"), Retry(), Retry(after=1), Snooze(2)]).flatmap(
        lambda error: st.builds(Raised, st.just(error), st.just(INFO), st.booleans())
    ),
)


@given(OUTCOMES, st.integers(0, 5), st.integers(0, 5), st.floats(0, 1, exclude_max=True), st.booleans())
def test_every_outcome_is_a_change_that_a_running_task_takes(
    outcome: Outcome, retries: int, most: int, chance: float, on_timeout: bool
) -> None:
    task = TASK._replace(retry_count=retries, max_retries=most)
    change = decide(task, outcome, attrs.evolve(POLICY, retry_on_timeout=on_timeout, jitter=True), NOW, 1.0, chance)
    assert TaskStatus.RUNNING in sources(change.transition)
    waits = change.transition in (Transition.RETRY, Transition.SNOOZE)
    assert (change.due_at is not None) == waits
    assert change.due_at is None or change.due_at >= NOW
    assert (change.result is not None) == (change.transition is Transition.COMPLETE)
    assert (change.outcome is None) == (change.transition is Transition.COMPLETE)
    if change.transition is Transition.RETRY:
        assert retries < most


@given(st.integers(0, 10))
def test_a_task_that_always_fails_ends_after_its_retries(most: int) -> None:
    task, tries = TASK._replace(retry_count=0, max_retries=most), 0
    while decided(Raised(ValueError(), INFO), task).transition is Transition.RETRY:
        task, tries = task._replace(retry_count=task.retry_count + 1), tries + 1
    assert tries == most

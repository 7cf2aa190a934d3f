"""From what an attempt came to, to what its row is told."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs

from .control import Abort, Retry, Snooze
from .lifecycle import Transition
from .request import Claimed, NewTask
from .retry import RetryPolicy
from .task import LATEST, ErrorInfo, moment

NOT_STORED: Final = "OutcomeNotStored"


@attrs.frozen
class Finished:
    """The handler returned; *result* is JSON text, *children* are the tasks that it submitted."""

    result: str
    children: Sequence[NewTask] = ()


@attrs.frozen
class Raised:
    """The handler raised *error*; *final* if trying again cannot help (an unusable payload or result)."""

    error: Exception
    info: ErrorInfo
    final: bool = False


@attrs.frozen
class TimedOut:
    """The attempt was stopped at its hard deadline, or gave up at the soft one."""

    info: ErrorInfo


@attrs.frozen
class Cancelled:
    """The attempt ended after its task was cancelled; whatever it returned is dropped."""


@attrs.frozen
class Returned:
    """The attempt was stopped by a shutdown before it was done."""


Outcome: TypeAlias = Finished | Raised | TimedOut | Cancelled | Returned


class AttemptOutcome(enum.Enum):
    """How an attempt is written down; those that simply succeeded leave no row."""

    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SNOOZED = "snoozed"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    LOST = "lost"


@attrs.frozen
class Change:
    """What a settle writes; applied only while the row is RUNNING this very attempt.

    Attributes:
        at: epoch seconds.
        seconds: how long the attempt ran.
        due_at: epoch seconds of the next attempt, for RETRY and SNOOZE.
        outcome: the attempt row to keep, or None for a plain success.
        children: tasks to be stored with it, and only with it.
    """

    seq: int
    attempt: int
    task_id: str
    task_type: str
    transition: Transition
    at: float
    started_at: float
    seconds: float
    result: str | None = None
    error: ErrorInfo | None = None
    due_at: float | None = None
    outcome: AttemptOutcome | None = None
    children: Sequence[NewTask] = ()


def decide(task: Claimed, outcome: Outcome, policy: RetryPolicy, now: float, seconds: float, chance: float) -> Change:
    """The change that *outcome* asks for.

    Args:
        now: epoch seconds.
        seconds: how long the attempt ran.
        chance: in [0, 1), for the jitter of a retry's delay.
    """
    if isinstance(outcome, Finished):  # most are, and need none of what follows
        return Change(
            task.seq, task.attempt, task.task_id, task.task_type, Transition.COMPLETE, now, task.started_at, seconds,
            outcome.result, children=outcome.children,
        )  # fmt: skip

    def change(
        transition: Transition,
        how: AttemptOutcome,
        error: ErrorInfo | None = None,
        wait: float | None = None,
    ) -> Change:
        due_at = None if wait is None else min(now + wait, LATEST)
        return Change(
            task.seq, task.attempt, task.task_id, task.task_type, transition, now, task.started_at, seconds,
            None, error, due_at, how,
        )  # fmt: skip

    def again(how: AttemptOutcome, last: Transition, info: ErrorInfo, after: float | None) -> Change:
        if task.retry_count >= task.max_retries:
            return change(last, how, info)
        wait = policy.delay(task.retry_count + 1, chance) if after is None else after
        return change(Transition.RETRY, how, info, wait)

    match outcome:
        case Cancelled():
            return change(Transition.CANCEL, AttemptOutcome.CANCELLED)
        case Returned():
            return change(Transition.GIVE_BACK, AttemptOutcome.RETURNED)
        case TimedOut(info):
            if not policy.retry_on_timeout:
                return change(Transition.TIME_OUT, AttemptOutcome.TIMED_OUT, info)
            return again(AttemptOutcome.TIMED_OUT, Transition.TIME_OUT, info, None)
        case Raised(Snooze() as snooze):
            return change(Transition.SNOOZE, AttemptOutcome.SNOOZED, wait=snooze.seconds)
        case Raised(Retry() as retry, info):
            return again(AttemptOutcome.FAILED, Transition.FAIL, info, retry.after)
        case Raised(error, info, final):
            if final or isinstance(error, Abort) or not policy.takes(error):
                return change(Transition.FAIL, AttemptOutcome.FAILED, info)
            return again(AttemptOutcome.FAILED, Transition.FAIL, info, None)


def without_outcome(change: Change, error: Exception) -> Change | None:
    """*change* without what the handler has brought, because the database does not take it: *error* says why.

    What would have completed fails. None: nothing in it is of the handler's making.
    """
    if change.result is None and change.error is None and not change.children:
        return None
    said = ascii(str(error))[1:-1]  # whatever it is in it that could not be stored
    info = ErrorInfo(
        NOT_STORED, f"its outcome could not be stored: {type(error).__name__}: {said:.500}", "", change.attempt,
        moment(change.at),
    )  # fmt: skip
    if change.error is not None and change.error.type == NOT_STORED:
        return None  # that is what was tried last
    completes = change.transition is Transition.COMPLETE
    return attrs.evolve(
        change,
        transition=Transition.FAIL if completes else change.transition,
        outcome=AttemptOutcome.FAILED if completes else change.outcome,
        result=None,
        error=info,
        children=(),
    )

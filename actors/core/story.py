"""What must have happened between two looks at a task's row: the events of what other processes do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import attrs
import orjson

from .events import TaskEvent, TaskEventType
from .outcome import AttemptOutcome
from .retention import note_from
from .stored import error_from
from .task import TaskStatus, moment

ENDS: Final = {
    TaskStatus.COMPLETED: TaskEventType.COMPLETED,
    TaskStatus.FAILED: TaskEventType.FAILED,
    TaskStatus.TIMEOUT: TaskEventType.TIMED_OUT,
    TaskStatus.CANCELLED: TaskEventType.CANCELLED,
}
"""The event that tells of each end."""
_WAYS_BACK: Final = {
    AttemptOutcome.SNOOZED.value: TaskEventType.SNOOZED,
    AttemptOutcome.CRASHED.value: TaskEventType.RECOVERED,
    AttemptOutcome.LOST.value: TaskEventType.RECOVERED,
}


@attrs.frozen(kw_only=True)
class Sight:
    """What a look at a row has shown; texts are JSON, *due_at* is in epoch seconds.

    Attributes:
        outcome: how the last attempt was written down; None if it was not.
    """

    task_id: str
    task_type: str
    status: TaskStatus
    attempt: int
    due_at: float
    progress: str | None
    result: str | None
    error: str | None
    outcome: str | None


def story(before: Sight | None, now: Sight, at: datetime) -> Iterator[TaskEvent]:
    """The events that lead from *before* (None: not stored) to *now*, told at *at*.

    What came and went between the two looks is not among them: of several attempts the last alone, of several words
    of progress the last.
    """

    def event(kind: TaskEventType, data: Mapping[str, Any] | None = None, attempt: int = now.attempt) -> TaskEvent:
        return TaskEvent(kind, now.task_id, now.task_type, attempt, at, data or {})

    if before is None:
        yield event(TaskEventType.SUBMITTED, attempt=0)
    elif before.status.ended and (before.status, before.attempt) != (now.status, now.attempt):
        yield event(TaskEventType.SUBMITTED, {"revived_from": before.status.value}, before.attempt)
    if now.attempt > (0 if before is None else before.attempt):
        yield event(TaskEventType.STARTED)
    if now.progress is not None and (before is None or before.progress != now.progress):
        yield event(TaskEventType.PROGRESS, orjson.loads(now.progress))
    if before is None or (before.status, before.attempt) != (now.status, now.attempt):
        kind = _now(now, TaskStatus.PENDING if before is None else before.status)
        if kind is not None:
            yield event(kind, _data(now))


def _now(now: Sight, before: TaskStatus) -> TaskEventType | None:
    """What brought the row to where it stands."""
    if now.status is TaskStatus.RETRYING:
        return TaskEventType.RETRY_SCHEDULED
    if now.status is TaskStatus.PENDING and now.attempt and not before.ended:
        return _WAYS_BACK.get(now.outcome or "", TaskEventType.RETURNED)
    return ENDS.get(now.status)


def _data(now: Sight) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if now.result is not None:
        data["result_data"] = note_from(now.result) or orjson.loads(now.result)
    elif now.error is not None:
        data["error_info"] = error_from(now.error)
    if not now.status.ended:
        data["due_at"] = moment(now.due_at)
    return data

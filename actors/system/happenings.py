"""The events that a transaction stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from ..core.events import TaskEvent, TaskEventType
from ..core.lifecycle import Transition
from ..core.outcome import Change
from ..core.retention import note_from
from ..core.stored import error_from
from ..core.story import ENDS
from ..core.task import TaskStatus, moment
from ..store.leases import Recovered
from ..store.settle import Settled
from ..store.views import Ended
from .transaction import Transaction

_TYPES: Final = {
    Transition.COMPLETE: TaskEventType.COMPLETED,
    Transition.FAIL: TaskEventType.FAILED,
    Transition.TIME_OUT: TaskEventType.TIMED_OUT,
    Transition.CANCEL: TaskEventType.CANCELLED,
    Transition.RETRY: TaskEventType.RETRY_SCHEDULED,
    Transition.SNOOZE: TaskEventType.SNOOZED,
    Transition.GIVE_BACK: TaskEventType.RETURNED,
}
_RECOVERED: Final = {
    TaskStatus.PENDING: TaskEventType.RECOVERED,
    TaskStatus.FAILED: TaskEventType.FAILED,
    TaskStatus.CANCELLED: TaskEventType.CANCELLED,
}


def events_of(transaction: Transaction) -> Iterator[TaskEvent]:
    """What happened, in the order in which the transaction did it."""
    at = moment(transaction.now)
    for word in transaction.progress:
        data = orjson.loads(word.text)
        yield TaskEvent(TaskEventType.PROGRESS, word.task_id, word.task_type, word.attempt, at, data)
    for change, result in transaction.settled:
        if (kind := _settled_type(change, result)) is not None:
            yield TaskEvent(kind, change.task_id, change.task_type, change.attempt, at, _data(change))
    for new, receipt in transaction.submitted:
        if receipt.created:
            yield TaskEvent(TaskEventType.SUBMITTED, new.task_id, new.task_type, 0, at)
    for cancelled in transaction.cancelled:
        if cancelled.taken and cancelled.running is None:
            yield TaskEvent(TaskEventType.CANCELLED, cancelled.task_id, cancelled.task_type, cancelled.attempt, at)
    for expired in transaction.expired:
        data = {"error_info": expired.error}
        yield TaskEvent(TaskEventType.TIMED_OUT, expired.task_id, expired.task_type, expired.attempt, at, data)
    for revived in transaction.revived:
        data = {"revived_from": revived.status.value}
        yield TaskEvent(TaskEventType.SUBMITTED, revived.task_id, revived.task_type, revived.attempt, at, data)
    for recovered in transaction.recovered:
        yield _recovered(recovered, transaction.now)
    for task in transaction.claimed:
        yield TaskEvent(TaskEventType.STARTED, task.task_id, task.task_type, task.attempt, at)


def _settled_type(change: Change, result: Settled) -> TaskEventType | None:
    match result:
        case Settled.STORED:
            return _TYPES[change.transition]
        case Settled.CANCELLED:
            return TaskEventType.CANCELLED
        case Settled.FENCED:
            return TaskEventType.FENCED
        case Settled.STORED_BEFORE:
            return None


def _data(change: Change) -> Mapping[str, Any]:
    data: dict[str, Any] = {}
    if change.result is not None:
        data["result_data"] = orjson.loads(change.result)
    if change.error is not None:
        data["error_info"] = change.error
    if change.due_at is not None:
        data["due_at"] = moment(change.due_at)
    return data


def end_of(ended: Ended, at: datetime) -> TaskEvent:
    """The event of an end, wherever it was heard of."""
    data: dict[str, Any] = {}
    if ended.result is not None:
        data["result_data"] = note_from(ended.result) or orjson.loads(ended.result)
    if ended.error is not None:
        data["error_info"] = error_from(ended.error)
    return TaskEvent(ENDS[TaskStatus(ended.status)], ended.task_id, ended.task_type, ended.attempt, at, data)


def _recovered(found: Recovered, now: float) -> TaskEvent:
    data = {} if found.error is None else {"error_info": found.error}
    return TaskEvent(_RECOVERED[found.status], found.task_id, found.task_type, found.attempt, moment(now), data)

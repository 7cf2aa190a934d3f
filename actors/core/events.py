"""What happens to tasks, told to whoever listens."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs


class TaskEventType(enum.Enum):
    """The kinds of event; past participles, since each tells of something stored."""

    SUBMITTED = "submitted"
    REJECTED = "rejected"
    STARTED = "started"
    PROGRESS = "progress"
    SOFT_TIMEOUT = "soft_timeout"
    RETRY_SCHEDULED = "retry_scheduled"
    SNOOZED = "snoozed"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    RECOVERED = "recovered"
    RETURNED = "returned"
    STUCK = "stuck"
    FENCED = "fenced"


FINAL = frozenset({TaskEventType.COMPLETED, TaskEventType.FAILED, TaskEventType.TIMED_OUT, TaskEventType.CANCELLED})


@attrs.frozen
class TaskEvent:
    """Something that happened to one task.

    Attributes:
        attempt: the attempt's number, 0 before the first.
        at: when, aware UTC.
        data: what belongs to this kind of event (`result_data`, `error_info`, `fraction` …).
    """

    type: TaskEventType
    task_id: str
    task_type: str
    attempt: int
    at: datetime
    data: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def names(self) -> dict[str, object]:
        """What a log record about the event carries."""
        return {"task_id": self.task_id, "task_type": self.task_type, "attempt": self.attempt}

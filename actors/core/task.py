"""A task and what hangs on it, as values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import attrs


class TaskStatus(enum.Enum):
    """Where a task stands. The last four end it."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    @property
    def ended(self) -> bool:
        """Whether only a revival leaves this state."""
        return self in ENDED


ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMEOUT})
WAITING = frozenset({TaskStatus.PENDING, TaskStatus.RETRYING})


class TaskPriority(enum.IntEnum):
    """Names for common priorities; any integer from 0 to 100 is taken."""

    LOW = 1
    NORMAL = 5
    HIGH = 10
    URGENT = 20


class ExecutionMode(enum.Enum):
    """How a handler is run; the value is also the name of the mode's own lane."""

    COROUTINE = "coroutine"
    ASYNCIO = "asyncio"
    THREAD = "thread"
    PROCESS = "process"


@attrs.frozen
class ErrorInfo:
    """Why an attempt did not succeed: the error's type name, message and traceback text, and when it was."""

    type: str
    message: str
    traceback: str
    attempt: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@attrs.frozen
class Progress:
    """What a handler last said of itself; *fraction* is in [0, 1]."""

    fraction: float
    message: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)
    at: datetime | None = None


@attrs.frozen(kw_only=True)
class Task:
    """One durable piece of work, as it was stored when it was read. Times are aware UTC, durations seconds."""

    task_id: str
    task_type: str
    status: TaskStatus
    priority: int
    lane: str
    mode: ExecutionMode
    input_data: Mapping[str, Any]
    result_data: Any = None
    error_info: ErrorInfo | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    key: str | None = None
    created_at: datetime
    due_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    retry_count: int = 0
    crash_count: int = 0
    max_retries: int = 0
    attempt: int = 0
    timeout_seconds: float | None = None
    soft_timeout_seconds: float | None = None
    progress: Progress | None = None
    node: str | None = None


@attrs.frozen
class Attempt:
    """An attempt that did not simply succeed. *outcome* is a word of `core.outcome`, such as `failed` or `crashed`."""

    number: int
    node: str | None
    started_at: datetime | None
    ended_at: datetime
    outcome: str
    error_info: ErrorInfo | None


Order = Literal["newest", "oldest", "due", "ended"]
"""How a list of tasks may be sorted."""

EARLIEST: Final = 0.0
"""Epoch seconds of the first time that a task may have."""
LATEST: Final = datetime(9000, 12, 31, tzinfo=UTC).timestamp()
"""Epoch seconds of the last one, so far from the last datetime that time zones and additions stay within it."""


def moment(epoch_seconds: float) -> datetime:
    """The aware UTC time *epoch_seconds* after 1970; the nearest of `EARLIEST` to `LATEST`, so that any row is read."""
    return datetime.fromtimestamp(max(EARLIEST, min(LATEST, epoch_seconds)), UTC)

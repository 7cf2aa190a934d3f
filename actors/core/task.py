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
    """Why an attempt did not succeed.

    Attributes:
        type: the name of the error's class.
        message: what it says.
        traceback: its text; empty where there is nothing to trace, such as after a time-out.
        attempt: the number of the attempt.
        at: when, aware UTC.
    """

    type: str
    message: str
    traceback: str
    attempt: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@attrs.frozen
class Progress:
    """What a handler last said of itself.

    Attributes:
        fraction: how much is done, in [0, 1].
        message: in words.
        data: whatever else it gave, JSON values.
        at: when, aware UTC.
    """

    fraction: float
    message: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)
    at: datetime | None = None


@attrs.frozen(kw_only=True)
class Task:
    """One durable piece of work, as it was stored when it was read. Times are aware UTC, durations seconds.

    Attributes:
        task_id: the text of a UUID (version 7 unless the caller gave one).
        task_type: the name under which its handler is declared.
        status: where it stands.
        priority: 0–100, larger goes first.
        lane: the pool of slots that it runs in.
        mode: how its handler is run.
        input_data: the payload, as JSON values.
        result_data: what the handler returned, as JSON values.
        error_info: what the last attempt that did not succeed left behind.
        metadata: what was submitted beside the payload.
        key: at most one task of a type and key is alive at a time.
        created_at: when it was submitted.
        due_at: when it may start, or may start again.
        started_at: when its last attempt started.
        completed_at: when it ended, however it did.
        expires_at: when it ends TIMEOUT if it has not started by then.
        retry_count: failures and retried time-outs so far; snoozes and shutdowns do not count.
        crash_count: crashes of the process that were charged to it.
        max_retries: how many retries it may have.
        attempt: the number of its last attempt, 0 before the first.
        timeout_seconds: the hard limit of an attempt, None for no limit.
        soft_timeout_seconds: the soft limit, None for no soft stage before the hard one.
        progress: what the handler last said.
        node: the node that runs it; after its end, the one that ran it last.
    """

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
    """An attempt that did not simply succeed.

    Attributes:
        number: from 1, never reused.
        node: where it ran.
        started_at: when it was claimed.
        ended_at: when it ended, or when its end was noticed.
        outcome: `failed`, `timed_out`, `snoozed`, `returned`, `cancelled`, `crashed` or `lost`.
        error_info: why, where there was an error.
    """

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

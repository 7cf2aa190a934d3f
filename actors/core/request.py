"""What is asked for, what is stored, and what is handed out: a task on its three ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    import trio

    from .events import TaskEvent


@attrs.frozen(kw_only=True)
class TaskRequest:
    """A wish for a task; what is None comes from the task type's declaration, then from the settings.

    Attributes:
        task_type: the name under which the handler is declared.
        input_data: the payload: JSON values, or the Python values that the handler gets.
        timeout_seconds: the hard limit of each attempt, counted from its start; infinity for no limit.
        soft_timeout_seconds: the soft limit, below the hard one.
        max_retries: 0 to a million.
        priority: 0–100, larger goes first.
        run_at: not before this time (aware, or taken as UTC).
        expires_at: not after this time; a task that has not started by then ends TIMEOUT.
        key: at most one task of this type and key is alive at a time.
        metadata: a mapping of JSON values that is kept beside the payload.
        lane: where it runs, other than its type's lane.
        task_id: the text of a UUID; a second submit of the same id is the same task.
        reply_to: gets the task's events, SUBMITTED (or, by channel, REJECTED) first. It is never waited for: a full
            one loses events, but for the last, which is tried until there is room, or nobody receives any more. It
            is the caller's, and stays open.
    """

    task_type: str = attrs.field(kw_only=False)
    input_data: Mapping[str, Any] = attrs.field(factory=dict, kw_only=False)
    priority: int | None = None
    timeout_seconds: float | None = None
    soft_timeout_seconds: float | None = None
    max_retries: int | None = None
    run_at: datetime | None = None
    expires_at: datetime | None = None
    key: str | None = None
    metadata: Mapping[str, Any] | None = None
    lane: str | None = None
    task_id: str | None = None
    reply_to: trio.MemorySendChannel[TaskEvent] | None = None


class NewTask(NamedTuple):
    """The values of a row to be inserted, in the order of the INSERT. Times are epoch seconds.

    It is a tuple, since the driver takes it as it is: the garbage collector has one object to look at, not two.

    Attributes:
        rank: None while the task is not due.
        nonce: drawn for each submit, so that a repeated write recognises itself.
        context: the submitter's context variables that travel with the task, JSON text.
    """

    task_id: str
    task_type: str
    lane: str
    mode: str
    status: str
    priority: int
    key: str | None
    nonce: int
    input_data: str
    metadata: str | None
    created_at: float
    due_at: float
    expires_at: float | None
    max_retries: int
    timeout_seconds: float | None
    soft_timeout_seconds: float | None
    rank: float | None
    attempt: int = 0
    node: str | None = None
    started_at: float | None = None
    claimed_as: str | None = None
    context: str | None = None

    def leased(self, node: str, now: float) -> NewTask:
        """The same row, stored as leased to *node* for its first attempt at once: it need not be claimed."""
        return NewTask(
            self.task_id, self.task_type, self.lane, self.mode, "running", self.priority, self.key, self.nonce,
            self.input_data, self.metadata, self.created_at, self.due_at, self.expires_at, self.max_retries,
            self.timeout_seconds, self.soft_timeout_seconds, None, 1, node, now, self.status, self.context,
        )  # fmt: skip


@attrs.frozen
class Receipt:
    """What became of a submit: *created* is False if the task was there before."""

    task_id: str
    created: bool


class Claimed(NamedTuple):
    """A task leased to this node for one attempt, in the order of the claim's RETURNING."""

    seq: int
    task_id: str
    task_type: str
    lane: str
    mode: str
    priority: int
    input_data: str
    metadata: str | None
    created_at: float
    due_at: float
    started_at: float
    attempt: int
    retry_count: int
    crash_count: int
    crashes_seen: int
    max_retries: int
    timeout_seconds: float | None
    soft_timeout_seconds: float | None
    claimed_as: str
    alone: int
    context: str | None = None

    @property
    def names(self) -> dict[str, object]:
        """What a log record about the attempt carries."""
        return {"task_id": self.task_id, "task_type": self.task_type, "attempt": self.attempt}

    @classmethod
    def first(cls, seq: int, new: NewTask, now: float) -> Claimed:
        """The first attempt of a task that was stored as leased."""
        return cls(
            seq, new.task_id, new.task_type, new.lane, new.mode, new.priority, new.input_data, new.metadata,
            new.created_at, new.due_at, now, 1, 0, 0, 0, new.max_retries, new.timeout_seconds,
            new.soft_timeout_seconds, new.status, 0, new.context,
        )  # fmt: skip

"""From a request and its type's declaration to the row that is stored."""

from __future__ import annotations

import attrs

from . import options
from .errors import InvalidOption
from .identity import is_uuid
from .priority import rank
from .request import NewTask, TaskRequest


@attrs.frozen
class Defaults:
    """What a task type's declaration gives to each of its tasks; None for a limit means none.

    Raises:
        InvalidOption: `max_retries` is out of its range; the others are checked where they are given.
    """

    task_type: str
    lane: str
    mode: str
    priority: int
    max_retries: int = attrs.field(converter=options.retries)
    timeout_seconds: float | None
    soft_timeout_seconds: float | None


def plain_row(
    defaults: Defaults, payload: str, now: float, task_id: str, nonce: int, aging: float, context: str | None = None
) -> NewTask:
    """The row of a task that is due at once, with no options of its own.

    Args:
        payload: JSON text.
        now: epoch seconds.
        aging: seconds of waiting that one step of priority is worth.
        context: what travels of the submitter's context variables, JSON text.
    """
    return NewTask(
        task_id, defaults.task_type, defaults.lane, defaults.mode, "pending", defaults.priority, None, nonce, payload,
        None, now, now, None, defaults.max_retries, defaults.timeout_seconds, defaults.soft_timeout_seconds,
        rank(now, defaults.priority, aging), context=context,
    )  # fmt: skip


def requested_row(
    defaults: Defaults,
    request: TaskRequest,
    payload: str,
    metadata: str | None,
    now: float,
    task_id: str,
    nonce: int,
    aging: float,
    context: str | None = None,
) -> NewTask:
    """The row of *request*.

    Raises:
        InvalidOption: a value of the request cannot work.
    """
    plain = plain_row(defaults, payload, now, _identity(request, task_id), nonce, aging, context)
    due = now if request.run_at is None else max(now, options.epoch("run_at", request.run_at))
    expires = None if request.expires_at is None else options.epoch("expires", request.expires_at)
    if expires is not None and expires <= now:
        raise InvalidOption(f"expires is {request.expires_at}, which is past; it should be a time to come")
    if expires is not None and due >= expires:
        raise InvalidOption(f"expires is {request.expires_at}, before the task may start ({request.run_at})")
    priority = defaults.priority if request.priority is None else options.priority(request.priority)
    hard, soft = _limits(defaults, request)
    return plain._replace(
        priority=priority,
        lane=defaults.lane if request.lane is None else options.word("lane", request.lane),
        key=None if request.key is None else options.word("key", request.key),
        metadata=metadata,
        due_at=due,
        expires_at=expires,
        rank=rank(due, priority, aging) if due <= now else None,
        timeout_seconds=hard,
        soft_timeout_seconds=soft,
        max_retries=_retries(defaults, request),
    )


def _identity(request: TaskRequest, task_id: str) -> str:
    if request.task_id is None:
        return task_id
    if not is_uuid(request.task_id):
        raise InvalidOption(f"task_id is {request.task_id!r:.80}; it should be the text of a UUID")
    return request.task_id.lower()


def _limits(defaults: Defaults, request: TaskRequest) -> tuple[float | None, float | None]:
    hard, soft = defaults.timeout_seconds, defaults.soft_timeout_seconds
    if request.timeout_seconds is not None:
        hard = options.limit("timeout", request.timeout_seconds)
        if request.soft_timeout_seconds is None and soft is not None and hard is not None and soft >= hard:
            soft = None  # the declared soft limit would never be reached
    if request.soft_timeout_seconds is not None:
        soft = options.limit("soft_timeout", request.soft_timeout_seconds)
    options.soft_below_hard(soft, hard)
    return hard, soft


def _retries(defaults: Defaults, request: TaskRequest) -> int:
    if request.max_retries is None:
        return defaults.max_retries
    return options.retries(request.max_retries)

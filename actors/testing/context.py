"""A context with which a test calls a handler as the plain function that it is."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Final

from ..core import options
from ..core.codec import as_json, dumps
from ..core.errors import InvalidOption
from ..core.identity import RANDOM_BITS, uuid7
from ..core.request import Claimed, NewTask, TaskRequest
from ..core.schedule import Defaults, plain_row, requested_row
from ..core.stop import StopReason
from ..core.task import ExecutionMode, Progress, TaskPriority
from ..declared import DeclaredTask
from ..execution.context import TaskContext, enter
from ..execution.resources import Resources
from .submitted import check_submitted

LANE: Final = ExecutionMode.COROUTINE.value
AGING: Final = 60.0
"""Seconds; it decides on a rank, which nobody looks at here."""


class FakeContext(TaskContext):
    """A `TaskContext` that keeps what the handler does with it. No task system has to run.

    `with fake_context() as ctx:` also makes it what `actors.current()`, `actors.progress` and `actors.log` find.

    Attributes:
        reported: what `progress` was told, in order.
        submitted: the requests that `submit` was given, in order; their types need not be declared.
        records: what was logged through `log`, in order.
    """

    def __init__(self, task: Claimed, resources: Mapping[str, Any]) -> None:
        self.reported: list[Progress] = []
        self.submitted: list[TaskRequest] = []
        self.records: list[logging.LogRecord] = []
        self._entered: list[Token[TaskContext]] = []
        super().__init__(task, self.reported.append, self._keep, Resources(resources))

    def _keep(self, request: TaskRequest) -> NewTask:
        """Keep *request*, if it could be one; the row that it would become, whatever its type declares."""
        if not isinstance(request, TaskRequest):
            raise InvalidOption(f"a request is {request!r:.80}; it should be a TaskRequest")
        defaults = Defaults(request.task_type, LANE, LANE, TaskPriority.NORMAL, 0, None, None)
        row = requested_row(defaults, request, _json(request.input_data), None, time.time(), _new_id(), 0, AGING)
        self.submitted.append(request)
        return row

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """The handler's logger; its records are kept in `records`, whatever their level, and go on from there."""
        adapter = super().log
        if not isinstance(adapter.logger, _KeepingLogger):
            adapter.logger = _KeepingLogger(adapter.logger, self.records)
        return adapter

    @property
    def messages(self) -> list[str]:
        """The texts of `records`."""
        return [record.getMessage() for record in self.records]

    def stop(self, reason: StopReason = StopReason.CANCEL) -> None:
        """Begin the soft stage: `stopping` is set, and `until_stopping` scopes are cancelled."""
        super().stop(reason)

    def assert_submitted(
        self, task_type: str | DeclaredTask[..., Any], /, count: int | None = None, **payload: Any
    ) -> list[TaskRequest]:
        """The children of this type and with this payload; see `actors.testing.assert_submitted`."""
        return check_submitted(self.submitted, task_type, count, payload)

    def __enter__(self) -> FakeContext:
        self._entered.append(enter(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token = self._entered.pop()
        token.var.reset(token)


class _KeepingLogger(logging.Logger):
    """Keeps every record, and hands on what the logger *behind* it would have taken."""

    def __init__(self, behind: logging.Logger, kept: list[logging.LogRecord]) -> None:
        super().__init__(behind.name, logging.NOTSET + 1)
        self._behind = behind
        self._kept = kept

    def handle(self, record: logging.LogRecord) -> None:
        """Called with each record."""
        self._kept.append(record)
        if self._behind.isEnabledFor(record.levelno):
            self._behind.handle(record)


def fake_context(
    task_type: str = "fake",
    input_data: Mapping[str, Any] | None = None,
    *,
    task_id: str | None = None,
    attempt: int = 1,
    retry_count: int = 0,
    max_retries: int = 3,
    priority: int = TaskPriority.NORMAL,
    metadata: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    soft_timeout: float | None = None,
    stopping: StopReason | None = None,
    resources: Mapping[str, Any] | None = None,
) -> FakeContext:
    """A context to call a handler with: `handler(fake_context(), name="trio")`.

    Args:
        input_data: what `ctx.input_data` shows; the handler's own arguments are given to it directly.
        timeout: seconds from now to `ctx.deadline`; nothing is stopped when they are over.
        stopping: why the handler should stop, from the beginning; `stop(reason)` says so later.
        resources: what `ctx.resources` has, by name.

    Raises:
        InvalidOption, InvalidPayload: a value that no task could have.
    """
    now = time.time()
    declared = Defaults(
        options.word("task_type", task_type), LANE, LANE, options.priority(priority), max_retries,
        options.limit("timeout", timeout), options.limit("soft_timeout", soft_timeout),
    )  # fmt: skip
    task = Claimed.first(0, plain_row(declared, _json(input_data), now, task_id or _new_id(), 0, AGING), now)._replace(
        metadata=_json(metadata, "metadata"),
        attempt=options.whole("attempt", attempt, 1),
        retry_count=options.whole("retry_count", retry_count, 0),
    )
    given = options.mapping("resources", {} if resources is None else resources, "resources by name")
    context = FakeContext(task, given)
    if stopping is not None:
        context.stop(stopping)
    return context


def _json(values: Mapping[str, Any] | None, name: str = "input_data") -> str:
    return dumps(as_json({} if values is None else dict(options.mapping(name, values))))


def _new_id() -> str:
    return uuid7(int(time.time() * 1000), int.from_bytes(os.urandom(RANDOM_BITS // 8 + 1)))

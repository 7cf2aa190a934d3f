"""What a handler knows of its attempt, and what it can say.

This module is imported wherever handlers are declared, so it must not pay for importing trio.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextvars import Context, ContextVar, Token
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from ..core.control import StopRequested
from ..core.errors import InvalidOption, NotRunning
from ..core.request import Claimed, NewTask, TaskRequest
from ..core.stop import StopReason
from ..core.task import Progress, moment
from .resources import NO_RESOURCES
from .until import AsyncioScope, UntilStopping

if TYPE_CHECKING:
    import trio

logger = logging.getLogger("actors.task")

_current: ContextVar[TaskContext] = ContextVar("actors.current")


class TaskContext:
    """One attempt, as its handler sees it. All of it may be used from the handler's own thread.

    Args:
        began_at: epoch seconds at which its limits began to count; by default those of the claim.
    """

    __slots__ = ("_began_at", "_children", "_log", "_over", "_prepare", "_report", "_resources", "_task", "interrupted",
                 "noticed", "scopes", "stopping")  # fmt: skip

    def __init__(
        self,
        task: Claimed,
        report: Callable[[Progress], None],
        prepare: Callable[[TaskRequest], NewTask],
        resources: Mapping[str, Any] = NO_RESOURCES,
        began_at: float | None = None,
    ) -> None:
        self._task = task
        self._began_at = task.started_at if began_at is None else began_at
        self._report = report
        self._prepare = prepare
        self._resources = resources
        self._children: list[NewTask] = []
        self._over = False
        self.scopes: tuple[trio.CancelScope | AsyncioScope, ...] = ()
        self._log: logging.LoggerAdapter[logging.Logger] | None = None
        self.stopping: StopReason | None = None
        self.interrupted: bool = False  # an `until_stopping` scope was cut short
        self.noticed = False  # the handler holds this context, so it can see a soft stop

    def __repr__(self) -> str:
        return f"<TaskContext {self.task_type!r} {self.task_id} attempt {self.attempt}>"

    @property
    def task_id(self) -> str:
        """The text of the task's UUID."""
        return self._task.task_id

    @property
    def task_type(self) -> str:
        """The name under which the handler is declared."""
        return self._task.task_type

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1, never reused; it is a fencing token for the handler's own systems too."""
        return self._task.attempt

    @property
    def retry_count(self) -> int:
        """Failures and retryable time-outs before this attempt."""
        return self._task.retry_count

    @property
    def max_retries(self) -> int:
        """How many retries this task may have."""
        return self._task.max_retries

    @property
    def priority(self) -> int:
        """0–100."""
        return self._task.priority

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What was submitted beside the payload."""
        return orjson.loads(self._task.metadata) if self._task.metadata else {}

    @property
    def input_data(self) -> Mapping[str, Any]:
        """The payload as plain JSON values."""
        data: Mapping[str, Any] = orjson.loads(self._task.input_data)
        return data

    @property
    def resources(self) -> Mapping[str, Any]:
        """What this node's handlers share, by the names of `TaskSystem.resource`; it cannot be changed.

        In a process these are what that can open for itself, and each is opened when it is first asked for.
        """
        return self._resources

    @property
    def deadline(self) -> datetime | None:
        """When the hard stage comes, aware UTC, or None for no limit."""
        return self._after(self._task.timeout_seconds)

    @property
    def soft_deadline(self) -> datetime | None:
        """When the soft stage comes, aware UTC, or None for no soft stage before the hard one."""
        return self._after(self._task.soft_timeout_seconds)

    def _after(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else moment(self._began_at) + timedelta(seconds=seconds)

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry `task_id`, `task_type` and `attempt`."""
        if self._log is None:
            self._log = _TaskLog(logger, self._task.names)
        return self._log

    def progress(self, fraction: float, message: str = "", **data: Any) -> None:
        """Say how far the work is. The latest word wins; it is stored at most 5 times a second.

        Args:
            fraction: in [0, 1].
            data: strict JSON values.

        Raises:
            InvalidOption: *fraction* is out of range.
            InvalidPayload: *data* is no strict JSON.
        """
        self._report(Progress(_fraction(fraction), str(message), data))

    def submit(self, request: TaskRequest) -> str:
        """Have a task stored in the transaction of this attempt's outcome, if the handler returns; its id.

        If it raises, is stopped, or its outcome comes too late, nothing of it is stored. Until then nobody else
        finds the task under its id. With a key that a living task has at that time, that task stands, and none has
        the id.

        Raises:
            UnknownTaskType, InvalidPayload, PayloadTooLarge, InvalidOption: the request cannot be stored.
            NotRunning: the attempt has ended, or was left behind; its outcome is on its way.
        """
        return self.adopt(request).task_id

    def adopt(self, request: TaskRequest) -> NewTask:
        """`submit`, for the row. For the task system, not for handlers."""
        row = self._prepare(request)
        if request.reply_to is not None:
            raise InvalidOption("a child has a reply_to, which is for app.submit() and app.requests(); leave it out")
        self._children.append(row)
        # Looked at after the append, and set before the children are taken: whichever thread comes second sees the
        # other's step, so that no child gets lost for which an id was returned.
        if self._over:
            raise NotRunning(
                f"attempt {self.attempt} of {self.task_type!r} has ended, and takes no more children;"
                " outside of a handler there are app.submit() and app.submit_sync()"
            )
        return row

    def end(self) -> Sequence[NewTask]:
        """Take no more children, nor progress; those that were taken until now. For the task system, not for handlers.

        It lets go of the attempt, which holds this context: what refers to itself waits for the garbage collector.
        """
        self._over = True
        self._report = _unheard
        return tuple(self._children) if self._children else ()

    def check(self) -> None:
        """Raise `StopRequested` once the attempt should stop; to be called now and then, by threads above all."""
        if self.stopping is not None:
            raise StopRequested(self.stopping)

    def until_stopping(self) -> UntilStopping:
        """A scope that is cancelled at the soft stage; what follows it cleans up until the hard stage.

        `with` gives a coroutine a `trio.CancelScope`; a coroutine of asyncio writes `async with`, and gets what has the
        same `cancel_called` and `cancelled_caught`.

        Raises:
            InvalidOption: it is the one where the other belongs.
        """
        self.noticed = True
        return UntilStopping(self)

    def stop(self, reason: StopReason) -> None:
        """The soft stage. The first reason stays, but for a cancel. For the task system, not for handlers."""
        if self.stopping is None or reason is StopReason.CANCEL:
            self.stopping = reason
            for scope in self.scopes:
                scope.cancel()


def _unheard(_: Progress) -> None:
    """What an attempt that has ended says of itself."""


def _fraction(value: object) -> float:
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    raise InvalidOption(f"progress fraction is {value!r}; it should be a number from 0 to 1")


class _TaskLog(logging.LoggerAdapter[logging.Logger]):
    """Adds the attempt's names to what the caller gives as `extra`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


class _CurrentLog(logging.LoggerAdapter[logging.Logger]):
    """Logs through the attempt that runs where it is used, if one does."""

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        context = here()
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the caller's line, not this one
        if context is None:
            super().log(level, msg, *args, **kwargs)
        else:
            context.log.log(level, msg, *args, **kwargs)


log = _CurrentLog(logger)
"""`current().log`; outside of a task it binds nothing."""


def current() -> TaskContext:
    """The context of the attempt that runs here, in whatever mode.

    Raises:
        NotRunning: this is no handler.
    """
    try:
        context = _current.get()
    except LookupError:
        raise NotRunning("no task runs here; actors.current() is for handlers and what they call") from None
    context.noticed = True
    return context


def here() -> TaskContext | None:
    """The context of the attempt that runs here, if one does. The handler does not count as having taken it."""
    return _current.get(None)


def within(context: Context) -> TaskContext | None:
    """The same for whatever runs in *context*; in any thread."""
    return context.get(_current)


def progress(fraction: float, message: str = "", **data: Any) -> None:
    """`current().progress(…)`."""
    current().progress(fraction, message, **data)


def enter(context: TaskContext) -> Token[TaskContext]:
    """Make *context* the current one of this trio task; it goes along into threads."""
    return _current.set(context)

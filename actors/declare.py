"""Declaring handlers: a function, its options, and what hangs on both."""

from __future__ import annotations

import enum
import inspect
import math
import typing
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, overload

import attrs

from .core import options
from .core.codec import Signature
from .core.errors import InvalidOption, ModeUnavailable
from .core.request import TaskRequest
from .core.retry import RetryPolicy
from .core.schedule import Defaults
from .core.task import ExecutionMode, TaskPriority
from .execution.context import TaskContext
from .execution.handler import Handler
from .settings import Settings

if TYPE_CHECKING:
    from .app import TaskSystem
    from .ticket import Ticket

P = ParamSpec("P")
R = TypeVar("R")


class Unset(enum.Enum):
    """For options whose None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET

AVAILABLE: Final = (ExecutionMode.COROUTINE, ExecutionMode.THREAD)


@attrs.frozen(kw_only=True)
class TaskOptions:
    """How tasks of one type run.

    Attributes:
        mode: by default coroutine for `async def`, thread for `def`.
        lane: by default the mode's own.
        timeout: seconds; None: no limit; unset: the setting's default.
        soft_timeout: seconds, below *timeout*; None: no soft stage before the hard one.
        max_retries: by default the retry policy's, or the setting's.
        retry: how failures are retried.
        priority: 0–100.
        max_concurrency: how many may run at once on a node; None: as many as the lane has slots.
    """

    mode: ExecutionMode | None = None
    lane: str | None = None
    timeout: float | Unset | None = UNSET
    soft_timeout: float | None = None
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    priority: int = TaskPriority.NORMAL
    max_concurrency: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.timeout is not UNSET:
            options.limit("timeout", self.timeout)
        options.soft_below_hard(options.limit("soft_timeout", self.soft_timeout), self.hard(None))
        options.priority(self.priority)
        if self.lane is not None:
            options.word("lane", self.lane)
        if self.max_retries is not None:
            options.whole("max_retries", self.max_retries, 0)
        if self.max_concurrency is not None:
            options.whole("max_concurrency", self.max_concurrency, 1)
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise InvalidOption(f"retry is {self.retry!r:.80}; it should be a RetryPolicy")
        if self.mode is not None and not isinstance(self.mode, ExecutionMode):
            raise InvalidOption(f"mode is {self.mode!r:.80}; it should be an ExecutionMode")

    def hard(self, default: float | None) -> float | None:
        """The hard limit, where *default* is the settings'."""
        return default if isinstance(self.timeout, Unset) else options.limit("timeout", self.timeout)


class Declaration:
    """One task type: its function and options, and what follows from them."""

    def __init__(self, task_type: str, function: Callable[..., Any], given: TaskOptions) -> None:
        self.task_type = options.word("task name", task_type)
        self.function = function
        self.options = given
        self.takes_context = takes_context(function)
        self.mode = _mode(task_type, function, given)
        self.signature = Signature.of(function, skip_first=self.takes_context, name=task_type)

    @property
    def lane(self) -> str:
        """Where its tasks run unless they say otherwise."""
        return self.options.lane or self.mode.value

    def defaults(self, settings: Settings) -> Defaults:
        """What each of its tasks gets, under *settings*."""
        given = self.options
        hard, soft = given.hard(settings.default_timeout), given.soft_timeout
        retries = given.max_retries
        if retries is None:
            retries = settings.max_retries if given.retry is None else given.retry.max_retries
        if soft is not None and hard is not None and soft >= hard:
            raise InvalidOption(
                f"task {self.task_type!r}: soft_timeout is {soft:g} s, which is not below the timeout of {hard:g} s"
                " (TASK_DEFAULT_TIMEOUT, unless the task has its own)"
            )
        return Defaults(self.task_type, self.lane, self.mode.value, int(given.priority), retries, hard, soft)

    def handler(self) -> Handler:
        """What execution needs of it."""
        return Handler(
            self.task_type, self.function, self.mode, self.takes_context, self.signature,
            self.options.retry or RetryPolicy(), self.lane, self.options.max_concurrency,
        )  # fmt: skip


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the first positional parameter is annotated `TaskContext`."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return False
    annotation = parameters[0].annotation
    if isinstance(annotation, str):
        try:
            annotation = typing.get_type_hints(function).get(parameters[0].name)
        except NameError:  # a name for type checkers only: the text has to do
            return str(parameters[0].annotation).rpartition(".")[2] == "TaskContext"
    return annotation is TaskContext


def _mode(task_type: str, function: Callable[..., Any], given: TaskOptions) -> ExecutionMode:
    is_async = inspect.iscoroutinefunction(function)
    mode = given.mode or (ExecutionMode.COROUTINE if is_async else ExecutionMode.THREAD)
    if mode not in AVAILABLE:
        known = " and ".join(repr(one.value) for one in AVAILABLE)
        raise ModeUnavailable(f"task {task_type!r}: mode {mode.value!r} is not in this version; there are {known}")
    if is_async != (mode is ExecutionMode.COROUTINE):
        kind, other = ("async def", "thread") if is_async else ("def", "coroutine")
        raise InvalidOption(f"task {task_type!r} is declared with {kind}, which mode {other!r} cannot run")
    return mode


class DeclaredTask(Generic[P, R]):
    """A handler that can be submitted, and is still callable as the plain function."""

    def __init__(self, app: TaskSystem, declaration: Declaration, template: Mapping[str, Any] | None = None) -> None:
        self._app = app
        self._declaration = declaration
        self._template = template or {}
        self.__wrapped__ = declaration.function
        self.__name__ = getattr(declaration.function, "__name__", declaration.task_type)
        self.__doc__ = declaration.function.__doc__

    def __repr__(self) -> str:
        return f"<DeclaredTask {self.task_type!r}>"

    @property
    def task_type(self) -> str:
        """The name under which the handler is declared."""
        return self._declaration.task_type

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself; nothing is stored."""
        return self._declaration.function(*args, **kwargs)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[R]:
        """Store a task with this payload; returns after the commit.

        Raises:
            InvalidPayload, PayloadTooLarge, InvalidOption: nothing was stored.
            NotRunning: the task system does not run.
            StorageUnavailable: the database took no writes in time.
        """
        if not self._template:
            ticket: Ticket[R] = await self._app.submit_plain(self._declaration, args, kwargs)
            return ticket
        return await self._app.submit(self.request(*args, **kwargs))

    def request(self, *args: P.args, **kwargs: P.kwargs) -> TaskRequest:
        """The request that `submit` would store, with its payload checked, for `app.submit_many` or a channel."""
        given = dict(self._template)
        if (delay := given.pop("delay", None)) is not None:
            given["run_at"] = datetime.fromtimestamp(self._app.wall() + delay, UTC)
        if isinstance(expires := given.pop("expires", None), float):
            expires = datetime.fromtimestamp(self._app.wall() + expires, UTC)
        return TaskRequest(self.task_type, self._payload(args, kwargs), expires_at=expires, **given)

    def _payload(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._declaration.signature.decode(self._declaration.signature.encode(args, dict(kwargs)))

    def options(
        self,
        *,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        expires: float | timedelta | datetime | None = None,
        timeout: float | Unset | None = UNSET,
        soft_timeout: float | None = None,
        max_retries: int | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        lane: str | None = None,
    ) -> DeclaredTask[P, R]:
        """A copy whose submits carry these options.

        Args:
            delay: seconds (or a timedelta) from the submit to the earliest start; *run_at* is the same as a time.
            expires: how long after the submit, or until when, it may still start; then it ends TIMEOUT.
            timeout: seconds; None: no limit.
            key: at most one task of this type and key is alive at a time.

        Raises:
            InvalidOption: a value cannot work.
        """
        if delay is not None and run_at is not None:
            raise InvalidOption("delay and run_at are both given; one of them says when to start")
        if run_at is not None:
            options.epoch("run_at", run_at)
        given: dict[str, Any] = {
            "priority": None if priority is None else options.priority(priority),
            "delay": None if delay is None else options.span("delay", delay),
            "run_at": run_at,
            "expires": expires
            if expires is None or isinstance(expires, datetime)
            else options.span("expires", expires),
            "soft_timeout_seconds": options.limit("soft_timeout", soft_timeout),
            "max_retries": None if max_retries is None else options.whole("max_retries", max_retries, 0),
            "key": None if key is None else options.word("key", key),
            "metadata": None if metadata is None else dict(options.mapping("metadata", metadata)),
            "lane": None if lane is None else options.word("lane", lane),
        }
        if not isinstance(timeout, Unset):
            given["timeout_seconds"] = options.limit("timeout", timeout) or math.inf
        chosen = {name: value for name, value in given.items() if value is not None}
        return DeclaredTask(self._app, self._declaration, {**self._template, **chosen})


class Decorator(Protocol):
    """What `@app.task(…)` applies to a function: a context as its first parameter is not part of the payload."""

    @overload
    def __call__(self, function: Callable[Concatenate[TaskContext, P], Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[TaskContext, P], R], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> DeclaredTask[P, R]: ...

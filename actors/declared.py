"""What a declared function becomes, and the decorator that makes it so."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, Unpack, overload

from .core import options
from .core.errors import ActorsError, InvalidOption
from .core.request import TaskRequest
from .declare import UNSET, Declaration, HandlerOptions, Unset
from .execution.context import TaskContext

if TYPE_CHECKING:
    from .submitting import SubmitDesk
    from .ticket import Ticket

P = ParamSpec("P")
R = TypeVar("R")

Find: TypeAlias = "Callable[[], tuple[SubmitDesk, Declaration]]"
"""Where a declared task is submitted, and what it is declared as there; raises `ActorsError` if that cannot be told."""


class DeclaredTask(Generic[P, R]):
    """A handler that can be submitted, and is still callable as the plain function."""

    def __init__(self, declaration: Declaration, find: Find, template: Mapping[str, Any] | None = None) -> None:
        self._declaration = declaration
        self._find = find
        self._template = template or {}
        self.__wrapped__ = declaration.function
        self.__name__ = getattr(declaration.function, "__name__", declaration.task_type)
        self.__doc__ = declaration.function.__doc__

    def __repr__(self) -> str:
        return f"<DeclaredTask {self.task_type!r}>"

    @property
    def task_type(self) -> str:
        """The name under which its tasks are stored. (Of Handlers that no one system includes: without a prefix.)"""
        try:
            return self._find()[1].task_type
        except ActorsError:
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
        app, declaration = self._find()
        if not self._template:
            ticket: Ticket[R] = await app.submit_plain(declaration, args, kwargs)
            return ticket
        return await app.submit(self.request(*args, **kwargs))

    def request(self, *args: P.args, **kwargs: P.kwargs) -> TaskRequest:
        """The request that `submit` would store, with its payload checked, for `app.submit_many` or a channel."""
        app, declaration = self._find()
        return declaration.request(args, kwargs, **self._chosen(app))

    def request_of(self, system: SubmitDesk, payload: Mapping[str, Any]) -> TaskRequest:
        """The request for *payload*, which is not checked here. For the package itself.

        Raises:
            InvalidOption: the task is not of *system*.
        """
        app, declaration = self._find()
        if app is not system:
            raise InvalidOption(f"task {self.task_type!r} is of another task system; map it there")
        return TaskRequest(declaration.task_type, payload, **self._chosen(app))

    def _chosen(self, app: SubmitDesk) -> dict[str, Any]:
        """The options as a request has them: times instead of spans."""
        given = dict(self._template)
        if (delay := given.pop("delay", None)) is not None:
            given["run_at"] = datetime.fromtimestamp(app.wall() + delay, UTC)
        if isinstance(expires := given.pop("expires", None), float):
            expires = datetime.fromtimestamp(app.wall() + expires, UTC)
        return {**given, "expires_at": expires}

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
        return DeclaredTask(self._declaration, self._find, {**self._template, **chosen})


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


class TaskDecorator:
    """`task` of a system or of Handlers.

    Args:
        register: declares a function under a task type, with options.
    """

    def __init__(self, register: Callable[..., DeclaredTask[..., Any]]) -> None:
        self._register = register

    @overload
    def __call__(self, function: Callable[Concatenate[TaskContext, P], Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[TaskContext, P], R], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> DeclaredTask[P, R]: ...
    @overload
    def __call__(self, *, name: str | None = None, **given: Unpack[HandlerOptions]) -> Decorator: ...

    def __call__(self, *function: Callable[..., Any], name: str | None = None, **given: Any) -> Any:
        """Declare a function, or give what will."""

        def declare(function: Callable[..., Any]) -> DeclaredTask[..., Any]:
            return self._register(name or function.__name__, function, **given)

        return declare(*function) if function else declare

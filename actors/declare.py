"""Declarations: a function, its options, and what follows from both."""

from __future__ import annotations

import enum
import importlib.util
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

import attrs

from .core import options
from .core.codec import Signature
from .core.errors import InvalidOption, ModeUnavailable, did_you_mean
from .core.request import TaskRequest
from .core.retry import RetryPolicy
from .core.schedule import Defaults
from .core.task import ExecutionMode, TaskPriority
from .execution.context import TaskContext
from .execution.handler import Handler
from .execution.process.location import check_name
from .settings import Settings


class Unset(enum.Enum):
    """For options whose None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET

COROUTINES: Final = (ExecutionMode.COROUTINE, ExecutionMode.ASYNCIO)


class HandlerOptions(TypedDict, total=False):
    """The keyword arguments of a declaration; see `TaskOptions`."""

    mode: ExecutionMode | None
    lane: str | None
    timeout: float | None
    soft_timeout: float | None
    max_retries: int | None
    retry: RetryPolicy | None
    priority: int
    max_concurrency: int | None


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

    def changed(self, given: Mapping[str, Any]) -> TaskOptions:
        """A copy with other values.

        Raises:
            InvalidOption: one of them is no option, or cannot work.
        """
        known = [field.name for field in attrs.fields(TaskOptions)]
        for name in given:
            if name not in known:
                raise InvalidOption(f"a task has no option {name!r}{did_you_mean(name, known)}")
        return attrs.evolve(self, **given)

    def hard(self, default: float | None) -> float | None:
        """The hard limit, where *default* is the settings'."""
        return default if isinstance(self.timeout, Unset) else options.limit("timeout", self.timeout)


class Declaration:
    """One task type: its function and options, and what follows from them.

    Raises:
        InvalidOption, ModeUnavailable, HandlerNotImportable: they cannot work.
    """

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

    def renamed(self, task_type: str) -> Declaration:
        """The same under another name."""
        return Declaration(task_type, self.function, self.options)

    def changed(self, given: Mapping[str, Any]) -> Declaration:
        """The same with other options."""
        return Declaration(self.task_type, self.function, self.options.changed(given))

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], **given: Any) -> TaskRequest:
        """The request for a call with these arguments, which are checked."""
        payload = self.signature.decode(self.signature.encode(args, dict(kwargs)))
        return TaskRequest(self.task_type, payload, **given)

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
    if is_async != (mode in COROUTINES):
        kind = "async def" if is_async else "def"
        raise InvalidOption(f"task {task_type!r} is declared with {kind}, which mode {mode.value!r} cannot run")
    if mode is ExecutionMode.ASYNCIO and importlib.util.find_spec("trio_asyncio") is None:
        raise ModeUnavailable(
            f"task {task_type!r}: mode 'asyncio' needs trio-asyncio, which is not installed (Python 3.14 has none);"
            " write the handler for trio, or give it a thread: def, with asyncio.run() in it"
        )
    if mode is ExecutionMode.PROCESS:
        check_name(task_type, function)
    return mode

"""TaskSystem: declare, run, submit, look, steer.

Nothing here imports trio or SQLAlchemy before it runs: modules with handlers are imported in places that need neither.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from .core import options
from .core.errors import (
    InvalidOption,
    NotRunning,
    SystemFailed,
    TaskNotFound,
)
from .core.request import TaskRequest
from .core.task import Attempt, ExecutionMode, Task, TaskPriority, TaskStatus
from .declare import UNSET, Declaration, DeclaredTask, Decorator, Unset
from .execution.context import TaskContext
from .registry import Registry
from .settings import Settings
from .ticket import Ticket

if TYPE_CHECKING:
    import trio

    from .core.events import TaskEvent, TaskEventType
    from .core.retry import RetryPolicy
    from .kernel import ChildSnapshot
    from .store.views import Statistics
    from .system.metrics import Metrics
    from .system.node import Node
    from .system.supervisor import Plan

P = ParamSpec("P")
R = TypeVar("R")

DAY = 86_400.0


class TaskSystem:
    """Task types, and a database in which their tasks are kept.

    Args:
        database_url: `sqlite:///file.db`, or `sqlite:///:memory:` for tests; by default the settings', which is
            `DATABASE_URL`, else `sqlite:///actors.db`.
        settings: by default those of the environment.

    Raises:
        InvalidOption: a setting cannot work.
    """

    def __init__(self, database_url: str | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self._url = database_url or self.settings.database_url
        self._registry = Registry(self.settings)
        self._callbacks: list[Callable[[TaskEvent], object]] = []
        self._entered = False
        self._node: Node | None = None
        self._stop: trio.Event | None = None

    # Declare

    @overload
    def task(self, function: Callable[Concatenate[TaskContext, P], Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> DeclaredTask[P, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[TaskContext, P], R], /) -> DeclaredTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> DeclaredTask[P, R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        mode: ExecutionMode | None = None,
        lane: str | None = None,
        timeout: float | Unset | None = UNSET,
        soft_timeout: float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        priority: int = TaskPriority.NORMAL,
        max_concurrency: int | None = None,
    ) -> Decorator: ...

    def task(self, *function: Callable[..., Any], **given: Any) -> Any:
        """Declare a handler: `@app.task`, or `@app.task(timeout=30, …)`; see `TaskOptions` for the options.

        The type's name is the function's, unless *name* is given.

        Raises:
            DuplicateTaskType: the name is taken.
            InvalidOption: an option cannot work, or the parameters' annotations cannot be stored as JSON.
        """
        if function:
            return self.register_handler(function[0].__name__, function[0])
        name = given.pop("name", None)

        def declare(function: Callable[..., Any]) -> DeclaredTask[Any, Any]:
            return self.register_handler(name or function.__name__, function, **given)

        return declare

    def register_handler(self, task_type: str, function: Callable[..., Any], **given: Any) -> DeclaredTask[..., Any]:
        """Declare *function* under *task_type*; see `task`."""
        if self._entered:
            raise InvalidOption(f"task {task_type!r} is declared while the system runs; declare it before")
        return DeclaredTask(self, self._registry.declare(task_type, function, given))

    def on_event(self, callback: Callable[[TaskEvent], object]) -> Callable[[TaskEvent], object]:
        """Have *callback* called with every event of this node. One that raises is logged; it must not wait.

        Raises:
            InvalidOption: it is declared with async def, so its calls would never run.
        """
        if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
            raise InvalidOption(f"the event callback {callback!r:.80} is async; it should be a plain function")
        self._callbacks.append(callback)
        return callback

    # Run

    @asynccontextmanager
    async def running(self, work: bool = True, database_url: str | None = None) -> AsyncIterator[TaskSystem]:
        """Run the task system while the block runs, and stop it in order on leaving.

        Leaving takes at most the grace time and 5 seconds. The block's exception leaves as it is.

        Args:
            work: False for a node that only submits, looks and steers.
            database_url: another database, for tests.

        Raises:
            DatabaseInUse, SchemaMismatch, StorageUnavailable, InvalidOption: it could not start.
            SystemFailed: a fault that restarts did not cure.
        """
        from .kernel import TreeFailed
        from .system import supervisor

        if self._entered:
            raise InvalidOption("this task system runs already; one TaskSystem is one node")
        self._entered = True
        try:
            async with supervisor.running(self._plan(database_url or self._url, work=work)) as node:
                self._node = node
                yield self
        except TreeFailed as failure:
            raise SystemFailed(f"the task system has failed: {failure}") from (failure.__cause__ or failure)
        finally:
            self._node = self._stop = None
            self._entered = False

    async def serve(self, *, work: bool = True, task_status: trio.TaskStatus[TaskSystem] | None = None) -> None:
        """Run until `stop`: `await nursery.start(app.serve)`."""
        import trio

        async with self.running(work=work):
            self._stop = trio.Event()
            if task_status is not None:
                task_status.started(self)
            await self._stop.wait()

    def stop(self, grace: float | None = None) -> None:
        """End `serve`; *grace* seconds (by default the setting's) are left to what runs. A second call ends those."""
        node = self.running_node
        if grace is not None:
            node.grace = options.seconds("grace", grace, least=0)
        if self._stop is None:
            raise NotRunning("stop() ends serve(); leave the block of running() to end that")
        if self._stop.is_set():
            node.running.hurry.set()
        self._stop.set()

    def _plan(self, url: str, *, work: bool) -> Plan:
        from .system.monitor import Retention
        from .system.supervisor import Plan

        settings = self.settings
        return Plan(
            url=url,
            work=work,
            handlers=self._registry.handlers(),
            lanes=self._registry.lanes(),
            prepare=self._registry.row,
            callbacks=self._callbacks,
            aging=settings.aging_seconds,
            grace=settings.grace_seconds,
            lease=settings.lease_seconds,
            retention=Retention(settings.cleanup_days * DAY, settings.failed_cleanup_days * DAY),
        )

    @property
    def running_node(self) -> Node:
        """The node that runs.

        Raises:
            NotRunning: none does.
        """
        if self._node is None:
            raise NotRunning("the task system is not running; enter `async with app.running():` first")
        return self._node

    def wall(self) -> float:
        """The system's time, epoch seconds."""
        return time.time() if self._node is None else self._node.clock.wall()

    def tree(self) -> Sequence[ChildSnapshot]:
        """The live supervision tree: each actor's name, state, mailbox, restarts and last error."""
        return self.running_node.snapshot()

    # Submit

    async def submit(self, request: TaskRequest) -> Ticket[Any]:
        """Store a task; returns after the commit. See `DeclaredTask.submit` for the errors.

        Raises:
            UnknownTaskType: nothing is declared under the request's type.
        """
        node = self.running_node
        (receipt,) = await node.submit([self._registry.row(request, node.clock, node.chance)])
        return Ticket(self, receipt.task_id, receipt.created)

    async def submit_many(self, requests: Iterable[TaskRequest]) -> list[Ticket[Any]]:
        """Store tasks, all or none, in one commit; their tickets in the same order."""
        node = self.running_node
        rows = [self._registry.row(request, node.clock, node.chance) for request in requests]
        receipts = await node.submit(rows) if rows else []
        return [Ticket(self, receipt.task_id, receipt.created) for receipt in receipts]

    async def submit_plain(
        self, declaration: Declaration, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Ticket[Any]:
        """Store a task without options of its own: the short way of `DeclaredTask.submit`."""
        node = self.running_node
        row = self._registry.plain_row(declaration, args, kwargs, node.clock, node.chance)
        (receipt,) = await node.submit([row])
        return Ticket(self, receipt.task_id, receipt.created)

    def requests(self) -> trio.MemorySendChannel[TaskRequest]:
        """A clone of the channel that the Intake actor reads; what it cannot take is told as a REJECTED event."""
        return self.running_node.requests()

    def decode_result(self, task_type: str, text: str | None) -> Any:
        """A stored result (JSON text), of the type that the handler's annotation promises."""
        return self._registry.decode_result(task_type, text)

    def ticket(self, task_id: str) -> Ticket[Any]:
        """A ticket for a task that was submitted elsewhere or before."""
        return Ticket(self, task_id, created=False)

    # Look

    async def get(self, task_id: str) -> Task | None:
        """The task as it is stored, or None."""
        return await self.running_node.get(task_id)

    async def list(
        self,
        *,
        task_type: str | None = None,
        status: TaskStatus | None = None,
        lane: str | None = None,
        key: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: str = "newest",
        limit: int = 100,
        after: str | None = None,
    ) -> list[Task]:
        """A page of tasks.

        Args:
            order: "newest" or "oldest" first, by submission.
            limit: 1–1000.
            after: the last task_id of the page before.
        """
        if order not in ("newest", "oldest"):
            raise InvalidOption(f"order is {order!r}; it should be 'newest' or 'oldest'")
        options.whole("limit", limit, 1, 1000)
        which = _filter(task_type, status, lane, key, created_after, created_before)
        return await self.running_node.page(which, limit, after, newest_first=order == "newest")

    async def count(
        self,
        *,
        task_type: str | None = None,
        status: TaskStatus | None = None,
        lane: str | None = None,
        key: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> int:
        """How many tasks are stored; by type and status this costs the same whatever there is."""
        which = _filter(task_type, status, lane, key, created_after, created_before)
        return await self.running_node.count(which)

    async def attempts(self, task_id: str) -> Sequence[Attempt]:
        """The attempts of a task that did not simply succeed, oldest first."""
        return await self.running_node.attempts(task_id)

    async def statistics(self) -> Statistics:
        """What the counters say of all tasks."""
        return await self.running_node.statistics()

    def metrics(self) -> Metrics:
        """This node's live figures, without I/O."""
        return self.running_node.metrics()

    @asynccontextmanager
    async def events(
        self, task_type: str | None = None, types: TaskEventType | Iterable[TaskEventType] | None = None
    ) -> AsyncIterator[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of the events that this node causes while the block runs. A slow reader loses some, counted.

        Raises:
            InvalidOption: *types* has something else than event types, or nothing.
        """
        with self.running_node.subscribe(task_type, types) as receive:
            yield receive

    # Steer

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task, pending or running. True: it had not ended, and will end CANCELLED.

        Raises:
            TaskNotFound: it is not stored.
        """
        taken = await self.running_node.cancel(task_id)
        if taken is None:
            raise TaskNotFound.of(task_id)
        return taken

    async def pause(self, *, lane: str | None = None, task_type: str | None = None) -> None:
        """Start no more tasks of a lane or a type, on any node, until `resume`. What runs goes on."""
        await self.running_node.pause(*self._pausable(lane, task_type), on=True)

    async def resume(self, *, lane: str | None = None, task_type: str | None = None) -> None:
        """End a pause."""
        await self.running_node.pause(*self._pausable(lane, task_type), on=False)

    def _pausable(self, lane: str | None, task_type: str | None) -> tuple[str, str]:
        if (lane is None) == (task_type is None):
            raise InvalidOption("a pause is of a lane or of a task type; give lane= or task_type=")
        if task_type is not None:
            return "task_type", self._registry.find(task_type).task_type
        return "lane", self._registry.lane(str(lane))

    async def cleanup(
        self,
        *,
        completed_older_than: float | timedelta | None = None,
        failed_older_than: float | timedelta | None = None,
    ) -> int:
        """Delete ended tasks that are older than this (seconds, or a timedelta); how many there were.

        By default by the settings' days, which also go by themselves, once an hour. Cancelled tasks go with the
        completed, timed out ones with the failed.
        """
        completed = self.settings.cleanup_days * DAY
        failed = self.settings.failed_cleanup_days * DAY
        if completed_older_than is not None:
            completed = options.span("completed_older_than", completed_older_than)
        if failed_older_than is not None:
            failed = options.span("failed_older_than", failed_older_than)
        return await self.running_node.cleanup(completed, failed)


def _filter(
    task_type: str | None,
    status: TaskStatus | None,
    lane: str | None,
    key: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
) -> dict[str, Any]:
    if status is not None and not isinstance(status, TaskStatus):
        raise InvalidOption(f"status is {status!r}; it should be a TaskStatus")
    return {
        "task_type": task_type,
        "status": status,
        "lane": lane,
        "key": key,
        "created_after": None if created_after is None else options.epoch("created_after", created_after),
        "created_before": None if created_before is None else options.epoch("created_before", created_before),
    }

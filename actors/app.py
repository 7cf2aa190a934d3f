"""TaskSystem: declare and run; `submitting.py` has what submits, `desk.py` what looks and steers.

Nothing here imports trio or SQLAlchemy before it runs: modules with handlers are imported in places that need neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from .core import options
from .core.errors import (
    InvalidOption,
    NotRunning,
    SystemFailed,
)
from .core.request import TaskRequest
from .declare import Declaration, HandlerOptions, TaskOptions
from .declared import DeclaredTask, TaskDecorator
from .handlers import Handlers
from .hooks import plain
from .settings import Settings
from .submitting import SubmitDesk

if TYPE_CHECKING:
    import trio

    from .core.events import TaskEvent
    from .execution.context import TaskContext
    from .execution.hooks import AttemptEnd
    from .system.supervisor import Plan

SubmitHook = TypeVar("SubmitHook", bound="Callable[[TaskRequest], TaskRequest | None]")
AttemptHook = TypeVar("AttemptHook", bound="Callable[[TaskContext], object]")
EndHook = TypeVar("EndHook", bound="Callable[[TaskContext, AttemptEnd], object]")


class TaskSystem(SubmitDesk):
    """Task types, and a database in which their tasks are kept.

    Args:
        database_url: `sqlite:///file.db`, or `sqlite:///:memory:` for tests; by default the settings', which is
            `DATABASE_URL`, else `sqlite:///actors.db`.
        settings: by default those of the environment.

    Raises:
        InvalidOption: a setting cannot work.
    """

    def __init__(self, database_url: str | None = None, *, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings.from_environment())
        self._url = database_url or self.settings.database_url
        self._callbacks: list[Callable[[TaskEvent], object]] = []
        self._entered = False
        self._stop: trio.Event | None = None

    # Declare

    @property
    def task(self) -> TaskDecorator:
        """Declare a handler: `@app.task`, or `@app.task(timeout=30, …)`; see `TaskOptions` for the options.

        The type's name is the function's, unless *name* is given.

        Raises:
            DuplicateTaskType: the name is taken.
            InvalidOption: an option cannot work, or the parameters' annotations cannot be stored as JSON.
        """
        return TaskDecorator(self.register_handler)

    def register_handler(
        self, task_type: str, function: Callable[..., Any], **given: Unpack[HandlerOptions]
    ) -> DeclaredTask[..., Any]:
        """Declare *function* under *task_type*; see `task`."""
        declaration = Declaration(task_type, function, TaskOptions().changed(given))
        self.take([declaration])
        return DeclaredTask(declaration, lambda: (self, declaration))

    def configure(self, task_type: str, **given: Unpack[HandlerOptions]) -> None:
        """Change options of a declared task type from outside, before the start; see `TaskOptions`.

        Raises:
            UnknownTaskType: it is not declared, or not included, yet.
            InvalidOption: an option cannot work, or the system runs.
        """
        self._be_before_the_start(f"task {task_type!r} is configured")
        self._registry.configure(task_type, given)

    def include(self, handlers: Handlers, prefix: str = "") -> None:
        """Take in what *handlers* declares, now and later, with *prefix* before each name.

        Raises:
            DuplicateTaskType: a name is taken; nothing was included.
            InvalidOption: they are included here already, or the system runs.
        """
        self._be_before_the_start("Handlers are included")
        given: tuple[Any, Any] = handlers, prefix
        if not isinstance(given[0], Handlers) or not isinstance(given[1], str):
            raise InvalidOption(f"include got {handlers!r:.80} and prefix={prefix!r:.80}; it takes Handlers, and text")
        handlers.join(self, prefix)

    def take(self, declarations: Sequence[Declaration]) -> None:
        """Declare all of *declarations*, or none."""
        self._be_before_the_start(_declared(declarations))
        self._registry.take(declarations)

    def may_take(self, declarations: Sequence[Declaration]) -> None:
        """Raise what `take` would."""
        self._be_before_the_start(_declared(declarations))
        self._registry.may_take(declarations)

    def _be_before_the_start(self, what: str) -> None:
        if self._entered:
            raise InvalidOption(f"{what} while the system runs; that can be done before")

    def declared(self, task_type: str) -> Declaration:
        """What is declared as *task_type*."""
        return self._registry.find(task_type)

    @property
    def database_url(self) -> str:
        """Where tasks are stored; a password may be in it, so that it is not for showing."""
        return self._url

    @property
    def task_types(self) -> list[str]:
        """What is declared, in alphabetical order."""
        return sorted(self._registry.handlers())

    @property
    def lanes(self) -> dict[str, int]:
        """Slots by lane, which are those of the modes, of the settings, and of the declarations."""
        return self._registry.lanes()

    def on_event(self, callback: Callable[[TaskEvent], object]) -> Callable[[TaskEvent], object]:
        """Have *callback* called with every event of this node. One that raises is logged; it must not wait.

        Raises:
            InvalidOption: it is declared with async def, so its calls would never run.
        """
        plain("event callback", callback)
        self._callbacks.append(callback)
        return callback

    def propagate(self, *variables: ContextVar[Any]) -> None:
        """Let *variables* travel: a task's handler sees the values that they have where it is submitted.

        The values are kept beside the payload as strict JSON, under the variables' names; what is not set there is
        not set in the handler. `ctx.submit`, `submit_sync` and `enqueue` take them from where they are called, so
        that they go on to children. A request that comes by channel brings none, since nobody knows its sender's.

        Raises:
            InvalidOption: one is no `ContextVar`, two have one name, or the system runs.
        """
        self._be_before_the_start("context variables are propagated")
        self._registry.carried.add(variables)

    def before_submit(self, hook: SubmitHook) -> SubmitHook:
        """Have *hook* called with each request before it is checked and stored, whatever way it comes.

        It may return another request in its place; the `reply_to` stays the submitter's. If it raises, that submit
        fails with the error (by channel: is REJECTED), which is logged. It is called where the submit is: in the
        event loop, where it must not block, or in the thread of a handler or of `enqueue`.

        Raises:
            InvalidOption: it is declared with async def.
        """
        plain("before_submit hook", hook)
        self._registry.hooks.before_submit.append(hook)
        return hook

    def before_attempt(self, hook: AttemptHook) -> AttemptHook:
        """Have *hook* called before each attempt of this node, in the event loop; it must not block.

        The handler sees the context variables that it sets. If it raises, the attempt fails as if the handler had.

        Raises:
            InvalidOption: it is declared with async def.
        """
        plain("before_attempt hook", hook)
        self._registry.hooks.attempts.before.append(hook)
        return hook

    def after_attempt(self, hook: EndHook) -> EndHook:
        """Have *hook* called after each attempt of this node, in the event loop; it must not block.

        It sees the context variables of `before_attempt` hooks. If it raises, that is logged, and the outcome stands.

        Raises:
            InvalidOption: it is declared with async def.
        """
        plain("after_attempt hook", hook)
        self._registry.hooks.attempts.after.append(hook)
        return hook

    # Run

    @asynccontextmanager
    async def running(
        self, work: bool = True, database_url: str | None = None, *, create: bool = True
    ) -> AsyncIterator[TaskSystem]:
        """Run the task system while the block runs, and stop it in order on leaving.

        Leaving takes at most the grace time and 5 seconds. The block's exception leaves as it is.

        Args:
            work: False for a node that only submits, looks and steers.
            database_url: another database, for tests.
            create: False to be refused, with InvalidOption or SchemaMismatch, where there is no database yet.

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
            async with supervisor.running(self._plan(database_url or self._url, work=work, create=create)) as node:
                self._node = node
                yield self
        except TreeFailed as failure:
            raise SystemFailed(f"the task system has failed: {failure}") from (failure.__cause__ or failure)
        finally:
            self._node = self._stop = None
            self._entered = False

    async def serve(
        self,
        *,
        work: bool = True,
        database_url: str | None = None,
        task_status: trio.TaskStatus[TaskSystem] | None = None,
    ) -> None:
        """Run until `stop`: `await nursery.start(app.serve)`. See `running`."""
        import trio

        async with self.running(work=work, database_url=database_url):
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

    def _plan(self, url: str, *, work: bool, create: bool) -> Plan:
        from .system.supervisor import Plan

        settings = self.settings
        return Plan(
            url=url,
            work=work,
            create=create,
            handlers=self._registry.handlers(),
            lanes=self._registry.lanes(),
            prepare=self._registry.row,
            callbacks=self._callbacks,
            hooks=self._registry.hooks.attempts,
            carried=self._registry.carried,
            aging=settings.aging_seconds,
            grace=settings.grace_seconds,
            lease=settings.lease_seconds,
            retention=settings.retention,
        )


def _declared(declarations: Sequence[Declaration]) -> str:
    return f"task {', '.join(repr(one.task_type) for one in declarations)} is declared"

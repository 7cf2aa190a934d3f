"""DeclareDesk: what is said of a system before it runs: handlers, hooks, and what their tasks share or bring along.

Nothing here imports trio or SQLAlchemy, see `app.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .core.errors import InvalidOption
from .core.request import TaskRequest
from .declare import Declaration, HandlerOptions, TaskOptions
from .declared import DeclaredTask, TaskDecorator
from .handlers import Handlers
from .hooks import plain
from .settings import Settings
from .submitting import SubmitDesk

if TYPE_CHECKING:
    from .core.events import TaskEvent
    from .execution.context import TaskContext
    from .execution.hooks import AttemptEnd
    from .execution.resources import Opening

SubmitHook = TypeVar("SubmitHook", bound="Callable[[TaskRequest], TaskRequest | None]")
AttemptHook = TypeVar("AttemptHook", bound="Callable[[TaskContext], object]")
EndHook = TypeVar("EndHook", bound="Callable[[TaskContext, AttemptEnd], object]")
Open = TypeVar("Open", bound="Callable[[], Opening]")


class DeclareDesk(SubmitDesk):
    """A desk that takes declarations, until it runs."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._callbacks: list[Callable[[TaskEvent], object]] = []
        self._entered = False

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

    @overload
    def resource(self, name: str, factory: Open) -> Open: ...
    @overload
    def resource(self, name: str) -> Callable[[Open], Open]: ...

    def resource(self, name: str, factory: Any = None) -> Any:
        """Let handlers share something, such as a client or a pool: it is `ctx.resources[name]` in each of them.

        A working node opens its resources before its first attempt, in the order of their declaration, and closes
        them in reverse after its last; one that only submits opens none. Also a decorator: `@app.resource("http")`.

        Args:
            factory: called in the event loop, without arguments; gives an async context manager, or a plain one, which
                is entered and left in threads. Or a generator function, async or not, as `contextlib` takes them.
                Child processes import it by name, if it is plain, and each opens its own when a handler first asks.

        Raises:
            InvalidOption: the name is taken, or *factory* is no such function, or the system runs.
        """
        self._be_before_the_start(f"the resource {name!r} is declared")
        if factory is not None:
            self._registry.share(name, factory)
            return factory
        return lambda function: self.resource(name, function)

    def propagate(self, *variables: ContextVar[Any]) -> None:
        """Let *variables* travel: a task's handler sees the values that they have where it is submitted.

        The values are kept beside the payload as strict JSON, under the variables' names; what is not set there is
        not set in the handler. `ctx.submit`, `submit_sync` and `enqueue` take them from where they are called, so
        that they go on to children. A request that comes by channel brings none, since nobody knows its sender's.

        Each has to be a global of some module if there are handlers of mode "process", or the start is refused.

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


def _declared(declarations: Sequence[Declaration]) -> str:
    return f"task {', '.join(repr(one.task_type) for one in declarations)} is declared"

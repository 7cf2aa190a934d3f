"""Handlers: task types that are declared apart from a system, for libraries and to avoid import circles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakKeyDictionary

from .core.errors import DuplicateTaskType, InvalidOption, NotRunning
from .declare import Declaration, HandlerOptions, TaskOptions
from .declared import DeclaredTask, TaskDecorator

if TYPE_CHECKING:
    from .declaring import DeclareDesk


class Handlers:
    """Task types without a system: `handlers = Handlers()`, `@handlers.task`, and later `app.include(handlers)`.

    What is declared is submitted to the system that includes it. If several do, it is submitted to the one that runs.
    """

    def __init__(self) -> None:
        self._declarations: dict[str, Declaration] = {}
        # Weak, so that a library's handlers do not keep the systems of a program's tests.
        self._prefixes: WeakKeyDictionary[DeclareDesk, str] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<Handlers {', '.join(self._declarations)}>"

    @property
    def task(self) -> TaskDecorator:
        """Declare a handler: `@handlers.task`, or `@handlers.task(timeout=30, …)`; see `TaskSystem.task`."""
        return TaskDecorator(self.register_handler)

    def register_handler(
        self, task_type: str, function: Callable[..., Any], **given: Unpack[HandlerOptions]
    ) -> DeclaredTask[..., Any]:
        """Declare *function* under *task_type*; see `TaskSystem.task`."""
        declaration = Declaration(task_type, function, TaskOptions().changed(given))
        if task_type in self._declarations:
            raise DuplicateTaskType(f"a task named {task_type!r} is declared already; give one of them another name")
        renamed = [(system, [declaration.renamed(prefix + task_type)]) for system, prefix in self._prefixes.items()]
        for system, added in renamed:  # all or none of them
            system.may_take(added)
        for system, added in renamed:
            system.take(added)
        self._declarations[task_type] = declaration
        return DeclaredTask(declaration, lambda: self._find(task_type))

    def join(self, system: DeclareDesk, prefix: str) -> None:
        """Be included in *system*; see `TaskSystem.include`."""
        if system in self._prefixes:
            raise InvalidOption(f"{self!r:.80} is included already, with the prefix {self._prefixes[system]!r}")
        system.take([declaration.renamed(prefix + name) for name, declaration in self._declarations.items()])
        self._prefixes[system] = prefix

    def _find(self, task_type: str) -> tuple[DeclareDesk, Declaration]:
        """Where tasks of *task_type* are submitted.

        Raises:
            InvalidOption: no system includes it, or several do that run.
            NotRunning: several systems include it, and none of them runs.
        """
        system = self._system(task_type)
        return system, system.declared(self._prefixes[system] + task_type)

    def _system(self, task_type: str) -> DeclareDesk:
        systems = list(self._prefixes)
        if not systems:
            raise InvalidOption(
                f"task {task_type!r} is of Handlers that no system includes; app.include(handlers) first"
            )
        if len(systems) == 1:
            return systems[0]
        match [system for system in systems if system.is_running]:
            case [system]:
                return system
            case []:
                raise NotRunning(
                    f"task {task_type!r} is of Handlers that {len(systems)} systems include, none of which is running"
                )
            case running:
                raise InvalidOption(
                    f"task {task_type!r} is of Handlers that {len(running)} running systems include;"
                    " app.submit(TaskRequest(…)) says to which of them"
                )

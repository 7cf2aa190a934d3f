"""What handlers in a child process share: opened over there, when one of them first asks for it.

A child imports this, so it must not pay for trio or SQLAlchemy.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context
from typing import Any, Final, TypeAlias

import attrs

from ...core.errors import did_you_mean
from ...core.remote import MAIN, MAIN_OF_A_CHILD
from ..resources import WANTED, Factory, factory
from .importing import import_main, importing
from .location import Location, script, way_to

logger = logging.getLogger("actors.execution")

Packed: TypeAlias = tuple[str, tuple[Any, ...] | None, str]
"""A name, the way to its factory, and what is in that way."""

_ASYNC: Final = "is async, and a process handler is not; use it in another mode, or declare a plain one: def … yield"


def pack_resources(factories: Mapping[str, Factory]) -> dict[str, Any]:
    """What children are told in their preparation. What they cannot open is told too: to whoever asks for it."""
    packed = [_packed(name, made) for name, made in factories.items()]
    in_script = any(way is not None and way[0] == MAIN for _, way, _ in packed)
    return {"factories": packed, "main": script() if in_script else None}


def _packed(name: str, made: Factory) -> Packed:
    if made.is_async:
        return name, None, _ASYNC
    way = way_to(made.function)
    if isinstance(way, str):
        return name, None, f"cannot be opened in a process, which imports its factory by name, and {way}"
    return name, attrs.astuple(way), ""


class ChildResources(Mapping[str, Any]):
    """Plain resources by name, each opened when it is first asked for.

    One that could not be opened is tried again by whoever asks next. Names are of those that may be opened here.
    """

    def __init__(self, factories: Iterable[Packed], main: tuple[str, str | None] | None) -> None:
        self._ways: dict[str, Location] = {}
        self._problems: dict[str, str] = {}
        for name, way, problem in factories:
            if way is None:
                self._problems[name] = problem
            else:
                self._ways[name] = Location(*way)
        self._main = main
        self._values: dict[str, Any] = {}
        self._open: list[tuple[str, AbstractContextManager[Any]]] = []
        self._opening = threading.RLock()
        self._context = Context()  # not that of an attempt, which they outlive

    def __repr__(self) -> str:
        return f"<Resources {', '.join(self._ways)}>"

    def __getitem__(self, name: str) -> Any:
        """What *name* stands for.

        Raises:
            KeyError: it is not to be had in a process.
            Exception: whatever the factory raises.
        """
        with self._opening:
            if name not in self._values:
                self._values[name] = self._context.run(self._enter, name)
            return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The same, or *default* if it is not to be had; a KeyError of the factory's own is no such answer."""
        if name not in self._ways:
            return default
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._ways

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._ways))

    def __len__(self) -> int:
        return len(self._ways)

    def close(self) -> None:
        """Close what is open, the latest first."""
        while self._open:
            name, manager = self._open.pop()
            try:
                self._context.run(manager.__exit__, None, None, None)
            except BaseException as error:  # also sys.exit(): there are others to be closed
                what = f"{type(error).__name__}: {error}"
                logger.error("the resource %r raised while it was closed in a process: %s", name, what, exc_info=error)

    def _enter(self, name: str) -> Any:
        manager = self._manager(name)
        value = manager.__enter__()
        self._open.append((name, manager))
        return value

    def _manager(self, name: str) -> AbstractContextManager[Any]:
        if name in self._ways:
            given: object = factory(name, self._found(self._ways[name]))()
            if isinstance(given, AbstractContextManager):
                return given
            del self._ways[name]
            self._problems[name] = _problem_with(given)
        if name in self._problems:
            raise KeyError(f"the resource {name!r} {self._problems[name]}")
        raise KeyError(f"no resource is named {name!r}{did_you_mean(name, self._ways)}")

    def _found(self, way: Location) -> Any:
        with importing():
            if way.module == MAIN and MAIN_OF_A_CHILD not in sys.modules and self._main is not None:
                import_main(*self._main)
            return way.find()


def _problem_with(given: object) -> str:
    if isinstance(given, AbstractAsyncContextManager):
        return _ASYNC
    return f"has a factory that gave {given!r:.80} in a process; it should be {WANTED}"

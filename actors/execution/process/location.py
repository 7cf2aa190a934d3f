"""Where a handler is declared, so that another process can import it: a module, and a name in it."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, Final

import attrs

from ...core.errors import HandlerNotImportable
from ...core.remote import MAIN, MAIN_OF_A_CHILD

CURE: Final = "declare a function at the top level of a module"
_MOST_WRAPPERS: Final = 100


@attrs.frozen
class Location:
    """The way to a function, or to something else that a module has.

    Attributes:
        depth: how many times `__wrapped__` leads from what the module has under the name to the function: a
            declaration replaces it by what can be submitted, and so do other decorators.
    """

    module: str
    name: str
    depth: int

    def find(self) -> Any:
        """What is there, in this process; its module is imported.

        Raises:
            ImportError, AttributeError: it is not there; and whatever the module raises.
        """
        found: Any = importlib.import_module(MAIN_OF_A_CHILD if self.module == MAIN else self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        for _ in range(self.depth):
            found = found.__wrapped__
        return found


def check_name(task_type: str, function: Callable[..., Any]) -> None:
    """Refuse, when it is declared, what no other process could import by its name.

    Raises:
        HandlerNotImportable: see there.
    """
    if (problem := _problem(function)) is not None:
        raise _not_importable(task_type, f"{problem}; {CURE}")


def _not_importable(task_type: str, words: str) -> HandlerNotImportable:
    return HandlerNotImportable(f"task {task_type!r}: mode 'process' imports its handler by name, and {words}")


def _problem(function: Any) -> str | None:
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if isinstance(function, functools.partial) or not isinstance(name, str) or not isinstance(module, str):
        return f"{function!r:.80} has none"
    if "<lambda>" in name:
        return "this one is a lambda"
    if "<locals>" in name:
        return f"{name!r:.80} is defined inside of a function"
    if inspect.ismethod(function) and not isinstance(function.__self__, type):
        return f"{name!r:.80} is bound to an object"
    if module == MAIN and main_file() is None:
        return "'__main__' has no file here (it is a prompt, or python -c)"
    return None


def main_file() -> str | None:
    """The file of the script that this process runs, if there is one."""
    return getattr(sys.modules[MAIN], "__file__", None)


def script() -> list[str | None]:
    """The file of this process's script, and the package that it is in, for a child that is to import it."""
    return [main_file(), sys.modules[MAIN].__package__]


def locate(task_type: str, function: Any) -> Location:
    """The way to *function*, when all modules are loaded.

    Raises:
        HandlerNotImportable: its name does not lead to it.
    """
    way = way_to(function)
    if isinstance(way, str):
        raise _not_importable(task_type, way)
    return way


def way_to(function: Any) -> Location | str:
    """The same, or what is in the way and what would help, for the second half of a sentence."""
    if (problem := _problem(function)) is not None:
        return f"{problem}; {CURE}"
    module, name = function.__module__, function.__qualname__
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    for depth in range(_MOST_WRAPPERS):
        if found is function or (inspect.ismethod(found) and found == function):
            return Location(module, name, depth)
        found = getattr(found, "__wrapped__", None)
    return f"{name!r} in {module!r} is something else; {CURE}, and keep its name for it"

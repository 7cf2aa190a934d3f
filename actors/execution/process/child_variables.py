"""Context variables that travel, on their way into child processes, which import them by name."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any, TypeAlias

from ...core.errors import InvalidOption
from ...core.remote import MAIN, MAIN_OF_A_CHILD
from ..carried import Carried
from .location import Location, main_file

Names: TypeAlias = tuple[str, Mapping[str, Any]]
"""A module's name, and the names in it."""


def locate_variables(carried: Carried, imported: Collection[str]) -> list[Location]:
    """The way to each of the variables, when all modules are loaded.

    Args:
        imported: the modules that children import anyway.

    Raises:
        InvalidOption: no module has it, or none that another process could import.
    """
    ways: dict[int, Location] = {}
    if carried:
        wanted = {id(variable) for variable in carried.variables}
        for module, names in sorted(_modules(), key=lambda one: _cost(one, imported), reverse=True):
            for name, value in list(names.items()):
                if id(value) in wanted:
                    ways[id(value)] = Location(module, name, 0)  # the cheapest module has the last word
    return [_way_to(variable, ways) for variable in carried.variables]


def _way_to(variable: ContextVar[Any], ways: dict[int, Location]) -> Location:
    try:
        return ways[id(variable)]
    except KeyError:
        raise InvalidOption(
            f"the context variable {variable.name!r} travels with tasks, and mode 'process' imports it by name, but no"
            " module that another process could import has it; keep it in a global of one"
        ) from None


def _modules() -> Iterator[Names]:
    """Those that a child could import."""
    loaded: list[tuple[str, object]] = list(sys.modules.items())
    for name, module in loaded:
        if not isinstance(module, ModuleType) or name == MAIN_OF_A_CHILD:
            continue
        names = object.__getattribute__(module, "__dict__")  # a lazy one is not to be woken by this
        if main_file() is not None if name == MAIN else names.get("__spec__") is not None:
            yield name, names


def _cost(one: Names, imported: Collection[str]) -> tuple[bool, bool, int]:
    """What orders modules by what it costs to import them: who has few names is likely to import little itself."""
    module, names = one
    return module not in imported, module == MAIN, len(names)

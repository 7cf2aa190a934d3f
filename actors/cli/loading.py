"""Finding the task system that `module:app` names."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import did_you_mean

if TYPE_CHECKING:
    from ..app import TaskSystem


def app_name(text: str) -> tuple[str, str]:
    """The two names of `module:attribute`."""
    module, _, attribute = text.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise click.BadParameter(f"{text!r:.80} should be module:attribute, such as service.tasks:app")
    return module, attribute


app_argument = click.argument("app_name", metavar="MODULE:APP", type=app_name)


def load(name: tuple[str, str]) -> TaskSystem:
    """Import the module, the current folder first, and return its task system.

    Raises:
        click.ClickException: there is none; says why in one line.
    """
    from ..app import TaskSystem

    module_name, attribute = name
    module = _imported(module_name)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise click.ClickException(f"module {module_name!r} has no {attribute!r}{_instead(module, attribute)}")
        found = getattr(found, part)
    if not isinstance(found, TaskSystem):
        kind = type(found).__name__
        raise click.ClickException(
            f"{module_name}:{attribute} is a {kind}, not a TaskSystem{_instead(module, attribute)}"
        )
    return found


def _imported(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.ClickException(f"no module named {error.name!r} is found, from {here} or installed") from error
        raise click.ClickException(f"module {name!r} cannot be imported: {error}") from error
    except Exception as error:
        raise click.ClickException(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error


def _instead(module: ModuleType, attribute: str) -> str:
    """A hint at what may have been meant: the nearest name of a task system, or the only one."""
    from ..app import TaskSystem

    systems = [name for name, value in vars(module).items() if isinstance(value, TaskSystem)]
    if len(systems) == 1:
        return f"; did you mean {f'{module.__name__}:{systems[0]}'!r}?"
    return did_you_mean(attribute, systems or [name for name in vars(module) if not name.startswith("_")])

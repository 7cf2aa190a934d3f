"""Importing the modules of handlers in a child process, which must not do what its parent does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from ...core.errors import HandlerNotImportable
from ...core.remote import MAIN, MAIN_OF_A_CHILD

_UNGUARDED: Final = "it runs a task system when it is imported; put that under `if __name__ == '__main__':`"


class _State:
    """Whether this process imports handlers just now, and whether one of their modules misbehaved."""

    importing = False
    misbehaved = False


@contextmanager
def importing() -> Iterator[None]:
    """In the block, modules of handlers are imported, and no task system starts.

    Raises:
        HandlerNotImportable: one was to start. Its module may have swallowed that, and gone on.
    """
    _State.importing, _State.misbehaved = True, False
    try:
        yield
    finally:
        _State.importing = False
        if _State.misbehaved:
            raise HandlerNotImportable(_UNGUARDED)


def refuse_while_importing() -> None:
    """To be called when a task system starts.

    Raises:
        HandlerNotImportable: this process does nothing yet but import the modules of its handlers.
    """
    if _State.importing:
        _State.misbehaved = True
        raise HandlerNotImportable(_UNGUARDED)


def import_main(path: str, package: str | None) -> None:
    """Run the parent's script once more, under the name by which its guard knows not to start anything."""
    if package:
        importlib.import_module(package)
    module = ModuleType(MAIN_OF_A_CHILD)
    module.__file__, module.__package__ = path, package
    sys.modules[MAIN] = sys.modules[MAIN_OF_A_CHILD] = module
    try:
        with open(path, "rb") as script:
            code = compile(script.read(), path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[MAIN_OF_A_CHILD]  # like any module that could not be imported
        raise

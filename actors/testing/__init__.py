"""For the tests of services: a system in virtual time, contexts to call handlers with, and what was submitted.

The names below are loaded when they are first used: the pytest plugin is imported at every start of pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import FakeContext as FakeContext
    from .context import fake_context as fake_context
    from .idle import NotIdle as NotIdle
    from .idle import run_until_idle as run_until_idle
    from .submitted import assert_submitted as assert_submitted
    from .virtual import run as run

_HOMES = {
    "FakeContext": "context",
    "NotIdle": "idle",
    "assert_submitted": "submitted",
    "fake_context": "context",
    "run": "virtual",
    "run_until_idle": "idle",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value

"""Durable background tasks for services written on trio.

The names below are loaded when they are first used: a process that only imports a module with handlers
pays neither for trio nor for SQLAlchemy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from .app import TaskSystem as TaskSystem
    from .core.control import Abort as Abort
    from .core.control import Retry as Retry
    from .core.control import Snooze as Snooze
    from .core.control import StopRequested as StopRequested
    from .core.events import TaskEvent as TaskEvent
    from .core.events import TaskEventType as TaskEventType
    from .core.node import NodeInfo as NodeInfo
    from .core.request import TaskRequest as TaskRequest
    from .core.retry import RetryPolicy as RetryPolicy
    from .core.retry import RetryStrategy as RetryStrategy
    from .core.stop import StopReason as StopReason
    from .core.task import Attempt as Attempt
    from .core.task import ErrorInfo as ErrorInfo
    from .core.task import ExecutionMode as ExecutionMode
    from .core.task import Progress as Progress
    from .core.task import Task as Task
    from .core.task import TaskPriority as TaskPriority
    from .core.task import TaskStatus as TaskStatus
    from .declared import DeclaredTask as DeclaredTask
    from .execution.context import TaskContext as TaskContext
    from .execution.context import current as current
    from .execution.context import log as log
    from .execution.context import progress as progress
    from .execution.hooks import AttemptEnd as AttemptEnd
    from .handlers import Handlers as Handlers
    from .settings import Settings as Settings
    from .ticket import Ticket as Ticket

__version__ = "0.1.0"

_HOMES = {
    "Abort": "core.control",
    "Attempt": "core.task",
    "AttemptEnd": "execution.hooks",
    "DeclaredTask": "declared",
    "ErrorInfo": "core.task",
    "ExecutionMode": "core.task",
    "NodeInfo": "core.node",
    "Handlers": "handlers",
    "Progress": "core.task",
    "Retry": "core.control",
    "RetryPolicy": "core.retry",
    "RetryStrategy": "core.retry",
    "Settings": "settings",
    "Snooze": "core.control",
    "StopReason": "core.stop",
    "StopRequested": "core.control",
    "Task": "core.task",
    "TaskContext": "execution.context",
    "TaskEvent": "core.events",
    "TaskEventType": "core.events",
    "TaskPriority": "core.task",
    "TaskRequest": "core.request",
    "TaskStatus": "core.task",
    "TaskSystem": "app",
    "Ticket": "ticket",
    "current": "execution.context",
    "log": "execution.context",
    "progress": "execution.context",
}

__all__ = [*_HOMES, "errors"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module(".errors", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

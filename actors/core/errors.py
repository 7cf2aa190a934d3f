"""What users may catch. Every message is one line: the thing, the fault, and what would work."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import ErrorInfo


class ActorsError(Exception):
    """The base of every error that this package raises for its users."""


class UnknownTaskType(ActorsError):
    """No handler is declared under this name."""

    @classmethod
    def named(cls, name: object, known: Iterable[str]) -> UnknownTaskType:
        """The error for *name*, with the nearest of the *known* names as a suggestion."""
        return cls(f"no task named {name!r} is declared{did_you_mean(name, known)}")


class DuplicateTaskType(ActorsError):
    """Two handlers are declared under one name."""


class InvalidPayload(ActorsError):
    """The payload does not fit the handler's parameters, or is not strict JSON. Nothing was stored."""


class PayloadTooLarge(InvalidPayload):
    """The encoded payload is longer than `TASK_MAX_PAYLOAD_BYTES`. Nothing was stored."""


class InvalidOption(ActorsError):
    """An option or setting has a value that cannot work."""


class ResultRemoved(ActorsError):
    """The task completed, but its result was large, and is not kept any more; the message says since when, and why."""


class TaskNotFound(ActorsError):
    """No task with this id is stored (it may have been cleaned up)."""

    @classmethod
    def of(cls, task_id: str) -> TaskNotFound:
        """The error for *task_id*."""
        return cls(f"no task {task_id!r} is stored; ended tasks are removed after their retention time")


class UnsuccessfulTask(ActorsError):
    """A task ended without a result.

    Attributes:
        task_id: the task.
        error_info: what its last attempt left behind, or None.
    """

    def __init__(self, message: str, task_id: str = "", error_info: ErrorInfo | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.error_info = error_info

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.task_id, self.error_info)


class TaskFailed(UnsuccessfulTask):
    """The task ended FAILED."""


class TaskTimedOut(UnsuccessfulTask):
    """The task ended TIMEOUT: its last attempt ran out of time, or it expired before it could start."""


class TaskCancelled(UnsuccessfulTask):
    """The task ended CANCELLED."""


class NotRunning(ActorsError):
    """The task system is not running; enter `app.running()` first."""


class SystemFailed(ActorsError):
    """The task system stopped because of a fault that restarts did not cure; the cause is chained."""


class StorageUnavailable(ActorsError):
    """The database did not take a write or answer a read in time. The message says what is being done about it."""


class DatabaseInUse(ActorsError):
    """Another working node holds this SQLite file."""


class SchemaMismatch(ActorsError):
    """The tables in the database are of a version that this code does not know."""


class IllegalTransition(ActorsError):
    """A task in this state does not take this event."""


class HandlerNotImportable(ActorsError):
    """A process cannot import this handler by name (a lambda, a closure, or `__main__` without a guard)."""


class ProcessDied(ActorsError):
    """The process that ran a handler died in the midst of it; the message has its signal or exit code.

    The attempt has failed like one that raised this, so that retry policies may name it.
    """


class ModeUnavailable(ActorsError):
    """This execution mode is not to be had here."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest of *known*, or an empty text; nothing is near what is no text."""
    near = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""

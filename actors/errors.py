"""Errors that users may catch, all under `ActorsError`."""

from __future__ import annotations

from .core.errors import (
    ActorsError,
    DatabaseInUse,
    DuplicateTaskType,
    HandlerNotImportable,
    IllegalTransition,
    InvalidOption,
    InvalidPayload,
    ModeUnavailable,
    NotRunning,
    PayloadTooLarge,
    ResultRemoved,
    SchemaMismatch,
    StorageUnavailable,
    SystemFailed,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskTimedOut,
    UnknownTaskType,
    UnsuccessfulTask,
)

__all__ = [
    "ActorsError",
    "DatabaseInUse",
    "DuplicateTaskType",
    "HandlerNotImportable",
    "IllegalTransition",
    "InvalidOption",
    "InvalidPayload",
    "ModeUnavailable",
    "NotRunning",
    "PayloadTooLarge",
    "ResultRemoved",
    "SchemaMismatch",
    "StorageUnavailable",
    "SystemFailed",
    "TaskCancelled",
    "TaskFailed",
    "TaskNotFound",
    "TaskTimedOut",
    "UnknownTaskType",
    "UnsuccessfulTask",
]

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from actors.core import errors
from actors.core.errors import (
    ActorsError,
    InvalidPayload,
    PayloadTooLarge,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskTimedOut,
    UnknownTaskType,
    UnsuccessfulTask,
    did_you_mean,
)
from actors.core.task import ErrorInfo

PUBLIC = [
    "UnknownTaskType",
    "InvalidPayload",
    "PayloadTooLarge",
    "InvalidOption",
    "DuplicateTaskType",
    "TaskNotFound",
    "TaskFailed",
    "TaskTimedOut",
    "TaskCancelled",
    "NotRunning",
    "SystemFailed",
    "StorageUnavailable",
    "DatabaseInUse",
    "SchemaMismatch",
    "IllegalTransition",
    "HandlerNotImportable",
    "ModeUnavailable",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_error_that_users_may_catch_is_an_actors_error_and_says_what_it_is(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, ActorsError)
    assert error.__doc__


def test_a_misspelt_task_type_gets_a_suggestion() -> None:
    known = ["mail.send", "report"]
    assert str(UnknownTaskType.named("mail.sned", known)) == (
        "no task named 'mail.sned' is declared; did you mean 'mail.send'?"
    )
    assert str(UnknownTaskType.named("zzz", known)) == "no task named 'zzz' is declared"
    assert did_you_mean("report", []) == ""


@pytest.mark.parametrize("name", [None, 5, ["mail"]])
def test_a_task_type_that_is_no_text_is_unknown_and_gets_no_suggestion(name: object) -> None:
    assert str(UnknownTaskType.named(name, ["mail"])) == f"no task named {name!r} is declared"


def test_a_task_that_is_not_stored_is_named() -> None:
    assert str(TaskNotFound.of("42")).startswith("no task '42' is stored; ")


def test_a_payload_that_is_too_large_is_an_invalid_payload() -> None:
    assert issubclass(PayloadTooLarge, InvalidPayload)


@pytest.mark.parametrize("kind", [TaskFailed, TaskTimedOut, TaskCancelled])
def test_the_end_of_a_task_crosses_a_process_border_with_what_it_knows(kind: type[UnsuccessfulTask]) -> None:
    info = ErrorInfo("ValueError", "no", "Traceback …", 2, datetime(2024, 1, 1, tzinfo=UTC))
    error = pickle.loads(pickle.dumps(kind("task 42 failed", "42", info)))
    assert type(error) is kind
    assert (str(error), error.task_id, error.error_info) == ("task 42 failed", "42", info)
    assert kind("alone").error_info is None

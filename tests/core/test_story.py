from __future__ import annotations

from typing import Any

import attrs
import pytest

from actors.core.events import TaskEventType
from actors.core.retention import ResultNote, note_text
from actors.core.story import Sight, story
from actors.core.task import TaskStatus, moment

S, E = TaskStatus, TaskEventType
NEW = Sight(
    task_id="1", task_type="mail", status=S.PENDING, attempt=0, due_at=5.0, progress=None, result=None, error=None,
    outcome=None,
)  # fmt: skip
ERROR = '{"type": "ValueError", "message": "no", "traceback": "", "attempt": 1, "at": "2026-01-01T00:00:00+00:00"}'


def told(before: Sight | None, **now: Any) -> list[tuple[TaskEventType, int]]:
    sight = attrs.evolve(before or NEW, **now)
    return [(event.type, event.attempt) for event in story(before, sight, moment(9.0))]


def after(**changes: Any) -> Sight:
    return attrs.evolve(NEW, **changes)


RUNNING = after(status=S.RUNNING, attempt=1)


def test_nothing_new_is_no_story() -> None:
    assert told(NEW) == told(RUNNING) == []


def test_a_task_that_was_not_there_is_submitted_and_what_it_is_now() -> None:
    assert told(None) == [(E.SUBMITTED, 0)]
    assert told(None, status=S.COMPLETED, attempt=1) == [(E.SUBMITTED, 0), (E.STARTED, 1), (E.COMPLETED, 1)]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(S.COMPLETED, E.COMPLETED), (S.FAILED, E.FAILED), (S.TIMEOUT, E.TIMED_OUT), (S.CANCELLED, E.CANCELLED)],
)
def test_every_end_is_told_with_the_start_that_was_not_seen(status: TaskStatus, kind: TaskEventType) -> None:
    assert told(RUNNING, status=status) == [(kind, 1)]
    assert told(NEW, status=status, attempt=1) == [(E.STARTED, 1), (kind, 1)]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("snoozed", E.SNOOZED),
        ("returned", E.RETURNED),
        (None, E.RETURNED),
        ("crashed", E.RECOVERED),
        ("lost", E.RECOVERED),
    ],
)
def test_the_way_back_is_the_one_that_was_written_down(outcome: str | None, kind: TaskEventType) -> None:
    assert told(RUNNING, status=S.PENDING, outcome=outcome) == [(kind, 1)]


def test_of_several_attempts_the_last_is_told() -> None:
    assert told(RUNNING, status=S.RETRYING) == [(E.RETRY_SCHEDULED, 1)]
    assert told(RUNNING, status=S.RETRYING, attempt=3) == [(E.STARTED, 3), (E.RETRY_SCHEDULED, 3)]
    assert told(after(status=S.RETRYING, attempt=1), status=S.RUNNING, attempt=2) == [(E.STARTED, 2)]


def test_a_revival_is_a_new_submit() -> None:
    failed = after(status=S.FAILED, attempt=1, error=ERROR)
    assert told(failed, status=S.PENDING) == [(E.SUBMITTED, 1)]
    assert told(failed, attempt=2) == [(E.SUBMITTED, 1), (E.STARTED, 2), (E.FAILED, 2)]
    (event,) = story(failed, attrs.evolve(failed, status=S.PENDING), moment(9.0))
    assert event.data == {"revived_from": "failed"}


def test_progress_is_told_when_it_is_new() -> None:
    half = attrs.evolve(RUNNING, progress='{"fraction": 0.5}')
    (event,) = story(RUNNING, half, moment(9.0))
    assert (event.type, event.attempt, event.data) == (E.PROGRESS, 1, {"fraction": 0.5})
    assert told(half) == []
    assert told(half, status=S.COMPLETED) == [(E.COMPLETED, 1)]


def test_the_end_carries_its_result_or_its_error() -> None:
    def data(**changes: Any) -> Any:
        *_, event = story(RUNNING, attrs.evolve(RUNNING, **changes), moment(9.0))
        return event.data

    assert data(status=S.COMPLETED, result='{"n": 1}') == {"result_data": {"n": 1}}
    assert data(status=S.FAILED, error=ERROR)["error_info"].type == "ValueError"
    retrying = data(status=S.RETRYING, error=ERROR)
    assert (retrying["due_at"], retrying["error_info"].message) == (moment(5.0), "no")
    assert isinstance(data(status=S.COMPLETED, result=note_text(70_000, moment(1.0)))["result_data"], ResultNote)

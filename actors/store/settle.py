"""Storing what attempts came to: fenced by (seq, attempt, RUNNING), and repeatable."""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import attrs
from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from ..core.lifecycle import Transition, target
from ..core.outcome import AttemptOutcome, Change
from ..core.stored import error_text
from .functions import by_key
from .prepared import Prepared, Row, chunks
from .rollups import Tally
from .schema import ranked, running, task
from .tasks import keep_attempts


class Settled(enum.Enum):
    """What became of a change: written now, found written, overtaken by a cancel, or refused as too late."""

    STORED = "stored"
    STORED_BEFORE = "stored_before"
    CANCELLED = "cancelled"
    FENCED = "fenced"


_current = (task.c.attempt == bindparam("number")) & running
_this = (task.c.seq == bindparam("this")) & by_key(_current)
_not_cancelled = (task.c.seq == bindparam("this")) & by_key(_current & (task.c.cancel_requested == literal_column("0")))

_complete = Prepared(
    lambda _: (
        update(task)
        .where(_not_cancelled)
        .values(
            status=bindparam("to"),
            completed_at=bindparam("at"),
            result_data=bindparam("json"),
            error_info=literal_column("NULL"),
        )
    ),
    ("to", "at", "json", "this", "number"),
)
_end = Prepared(
    lambda _: (
        update(task)
        .where(_not_cancelled)
        .values(status=bindparam("to"), completed_at=bindparam("at"), error_info=bindparam("json"))
    ),
    ("to", "at", "json", "this", "number"),
)
_cancel = Prepared(
    lambda _: update(task).where(_this).values(status=bindparam("to"), completed_at=bindparam("at")),
    ("to", "at", "this", "number"),
)
_postpone = Prepared(
    lambda _: (
        update(task)
        .where(_not_cancelled)
        .values(
            status=bindparam("to"),
            due_at=bindparam("due"),
            retry_count=task.c.retry_count + bindparam("more"),
            error_info=func.coalesce(bindparam("json", type_=task.c.error_info.type), task.c.error_info),
        )
    ),
    ("to", "due", "more", "json", "this", "number"),
)
_give_back = Prepared(
    lambda _: (
        update(task).where(_not_cancelled).values(status=bindparam("to"), rank=ranked, node=literal_column("NULL"))
    ),
    ("to", "aging", "this", "number"),
)
_state = select(task.c.seq, task.c.attempt, task.c.status)


@attrs.frozen
class _Way:
    """How one transition is written: its statement, the values of a change, and the name that it is counted under."""

    statement: Prepared
    row: Callable[[Change, str, float], Row]
    name: str


def _ended_row(change: Change, to: str, aging: float) -> Row:
    return to, change.at, _error(change), change.seq, change.attempt


def _postponed_row(change: Change, to: str, aging: float) -> Row:
    counted = int(change.transition is Transition.RETRY)
    return to, change.due_at, counted, _error(change), change.seq, change.attempt


_WAYS: Final = {
    Transition.COMPLETE: _Way(_complete, lambda c, to, _: (to, c.at, c.result, c.seq, c.attempt), "completed"),
    Transition.FAIL: _Way(_end, _ended_row, "failed"),
    Transition.TIME_OUT: _Way(_end, _ended_row, "timed_out"),
    Transition.CANCEL: _Way(_cancel, lambda c, to, _: (to, c.at, c.seq, c.attempt), "cancelled"),
    Transition.RETRY: _Way(_postpone, _postponed_row, "retried"),
    Transition.SNOOZE: _Way(_postpone, _postponed_row, "snoozed"),
    Transition.GIVE_BACK: _Way(_give_back, lambda c, to, aging: (to, aging, c.seq, c.attempt), "returned"),
}
_TARGETS: Final = {transition: target(transition).value for transition in _WAYS}


def settle(connection: Connection, changes: Sequence[Change], node: str, aging: float, tally: Tally) -> list[Settled]:
    """Apply *changes*; what became of each, in their order."""
    groups: dict[Transition, list[int]] = {}
    for index in sorted(
        range(len(changes)), key=lambda index: changes[index].seq
    ):  # the order in which rows are locked
        groups.setdefault(changes[index].transition, []).append(index)
    results = [Settled.STORED] * len(changes)
    for transition, indexes in groups.items():
        way, to = _WAYS[transition], _TARGETS[transition]
        group = [changes[index] for index in indexes]
        rows = [way.row(change, to, aging) for change in group]
        took = way.statement.run_each(connection, rows)
        late = [index for index, new in zip(indexes, took, strict=True) if not new]
        for index, result in zip(late, _refused(connection, [changes[index] for index in late], to), strict=True):
            results[index] = result
        _count(list(itertools.compress(group, took)), transition, tally)
    overtaken = [change for change, result in zip(changes, results, strict=True) if result is Settled.CANCELLED]
    _count_moves(overtaken, Transition.CANCEL, tally)
    keep_attempts(connection, _attempt_rows(changes, results, node))
    return results


def _error(change: Change) -> str | None:
    return None if change.error is None else error_text(change.error)


def _refused(connection: Connection, changes: Sequence[Change], to: str) -> list[Settled]:
    """Why each of *changes* did not take; a few statements for all, since a node that is late repeats thousands."""
    cancelled = _cancel.run_each(
        connection, [("cancelled", change.at, change.seq, change.attempt) for change in changes]
    )
    now = {
        (seq, attempt): status
        for part in chunks([change.seq for change in changes])
        for seq, attempt, status in connection.execute(_state.where(task.c.seq.in_(part)))
    }
    before = [now.get((change.seq, change.attempt)) in (to, "cancelled") for change in changes]
    return [
        Settled.CANCELLED if new else Settled.STORED_BEFORE if known else Settled.FENCED
        for new, known in zip(cancelled, before, strict=True)
    ]


def _count(stored: Sequence[Change], transition: Transition, tally: Tally) -> None:
    _count_moves(stored, transition, tally)
    for change in stored:
        if transition is Transition.COMPLETE:
            tally.ran(change.task_type, change.seconds)
        if change.error is not None:
            tally.erred(change.task_type, change.error.type)


def _count_moves(changes: Sequence[Change], transition: Transition, tally: Tally) -> None:
    for task_type, n in Counter([change.task_type for change in changes]).items():
        tally.moved(task_type, "running", _TARGETS[transition], n)
        tally.happened(task_type, _WAYS[transition].name, n)


def _attempt_rows(changes: Sequence[Change], results: Sequence[Settled], node: str) -> list[Row]:
    rows: list[Row] = []
    for change, result in zip(changes, results, strict=True):
        how = AttemptOutcome.CANCELLED if result is Settled.CANCELLED else change.outcome
        if how is not None and result in (Settled.STORED, Settled.CANCELLED):
            rows.append((change.seq, change.attempt, node, change.started_at, change.at, how.value, _error(change)))
    return rows

"""Reviving ended tasks. It can be repeated: the row carries the revival's nonce, as it did the submit's."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from typing import Any, Final

import attrs
from sqlalchemy import Connection, Row, bindparam, literal_column, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from ..core.identity import stored_id
from ..core.lifecycle import Transition, sources, target
from ..core.priority import rank
from ..core.task import TaskStatus
from .pages import Place
from .prepared import Prepared, chunks
from .rollups import Tally
from .schema import ended, one_of, task

REVIVABLE = sources(Transition.REVIVE)
FAILURES: Final = (TaskStatus.FAILED, TaskStatus.TIMEOUT)
"""The ends that are revived together."""


class Revival(enum.Enum):
    """What became of a revival: done, refused since the task is in another state, or since its key is taken."""

    DONE = "done"
    ELSEWHERE = "elsewhere"
    KEY_TAKEN = "key_taken"


@attrs.frozen
class Revived:
    """A task that was to be revived, as it was found, and what came of it."""

    task_id: str
    task_type: str
    attempt: int
    status: TaskStatus
    key: str | None
    result: Revival


_revive = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), one_of(REVIVABLE))
        .values(
            status=literal_column(f"'{target(Transition.REVIVE).value}'"),
            nonce=bindparam("by"),
            due_at=bindparam("now"),
            rank=bindparam("place"),
            retry_count=literal_column("0"),
            crash_count=literal_column("0"),
            crashes_seen=literal_column("0"),
            alone=literal_column("0"),
            cancel_requested=literal_column("0"),
            expires_at=literal_column("NULL"),
            completed_at=literal_column("NULL"),
            result_data=literal_column("NULL"),
            progress=literal_column("NULL"),
            node=literal_column("NULL"),
        )
    ),
    ("by", "now", "place", "this"),
)


def revive(
    connection: Connection,
    task_ids: Sequence[str],
    nonce: int,
    now: float,
    aging: float,
    tally: Tally,
    states: Collection[TaskStatus] = REVIVABLE,
) -> list[Revived]:
    """Make ended tasks due *now*, as if they were new, but for their attempt's number; unknown ids are left out.

    The last error stays until the next end, and says why the task was revived.

    Args:
        nonce: drawn once for this revival, so that a repetition recognises what it has done before.
        aging: seconds of waiting that one step of priority is worth.
        states: those that are revived; a task that was seen in one may have gone on since.
    """
    columns = [
        task.c[name] for name in ("seq", "task_id", "task_type", "attempt", "status", "key", "nonce", "priority")
    ]
    revived = []
    for part in chunks(sorted({stored_id(task_id) for task_id in task_ids})):
        query = select(*columns).where(task.c.task_id.in_(part)).order_by(task.c.seq).with_for_update()
        for row in connection.execute(query).all():
            status = TaskStatus(row.status)
            values = (nonce, now, rank(now, row.priority, aging), row.seq)
            result = _revived(connection, row, values, fitting=status in states)
            revived.append(Revived(row.task_id, row.task_type, row.attempt, status, row.key, result))
            if result is Revival.DONE and row.nonce != nonce:
                tally.moved(row.task_type, row.status, target(Transition.REVIVE).value)
                tally.happened(row.task_type, "revived")
    return revived


def _revived(connection: Connection, row: Row[Any], values: tuple[Any, ...], *, fitting: bool) -> Revival:
    if row.nonce == values[0]:
        return Revival.DONE
    if not fitting:
        return Revival.ELSEWHERE
    if row.key is None:
        _revive.run(connection, values)
        return Revival.DONE
    try:
        with connection.begin_nested():  # PostgreSQL would undo the whole transaction for a key that is taken
            _revive.run(connection, values)
    except IntegrityError:
        return Revival.KEY_TAKEN
    return Revival.DONE


@attrs.frozen
class Failures:
    """Some of the tasks that ended FAILED or TIMEOUT, and where the next ones begin; None: there are no more."""

    task_ids: Sequence[str]
    behind: Place | None


def failures(
    connection: Connection,
    status: TaskStatus,
    task_type: str | None,
    since: float | None,
    until: float,
    behind: Place | None,
    most: int = 500,
) -> Failures:
    """The tasks of *status* among up to *most* that ended from *since* to *until* (epoch seconds), oldest end first.

    Args:
        task_type: of which type; the others are passed over, so that the number of rows read has a bound.
        behind: where the ones before ended.
    """
    query = select(task.c.completed_at, task.c.seq, task.c.task_id, task.c.task_type)
    query = query.where(ended, task.c.status == literal_column(f"'{status.value}'"), task.c.completed_at <= until)
    if behind is not None:
        query = query.where(tuple_(task.c.completed_at, task.c.seq) > behind)
    elif since is not None:
        query = query.where(task.c.completed_at >= since)
    found = connection.execute(query.order_by(task.c.completed_at, task.c.seq).limit(most)).all()
    last = (found[-1].completed_at, found[-1].seq) if len(found) == most else None
    return Failures([row.task_id for row in found if task_type in (None, row.task_type)], last)

"""Removing what has ended long ago, in batches, so that the hot path never waits for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import attrs
from sqlalchemy import Connection, bindparam, delete, select, update

from ..core.identity import stored_id
from ..core.retention import note_text
from ..core.task import TaskStatus, moment
from .engine import turn_is_free
from .functions import octets
from .prepared import Prepared, Row, chunks
from .rollups import Tally
from .schema import attempt, ended, large, task

COMPLETED_KINDS: Final = ("completed", "cancelled")
FAILED_KINDS: Final = ("failed", "timeout")
LEAD: Final = 0x61636C65  # any number that nobody else is likely to lock

_old = Prepared(
    lambda _: (
        select(task.c.seq, task.c.task_type)
        .where(ended, task.c.status == bindparam("word"), task.c.completed_at < bindparam("before"))
        .order_by(task.c.completed_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    ),
    ("word", "before", "most"),
)
_forget_attempts = Prepared(lambda _: delete(attempt).where(attempt.c.seq == bindparam("this")), ("this",))
_forget = Prepared(lambda _: delete(task).where(task.c.seq == bindparam("this")), ("this",))


def lead(connection: Connection) -> bool:
    """Whether no other node is at housekeeping; none will be before this transaction ends."""
    return turn_is_free(connection, LEAD)


def cleanup(
    connection: Connection, completed_before: float, failed_before: float, tally: Tally, most: int = 500
) -> int:
    """Delete up to *most* ended tasks with their attempts; how many there were, so that the caller can go on.

    Completed and cancelled tasks go by *completed_before*, failed and timed out ones by *failed_before*.
    """
    limits = dict.fromkeys(COMPLETED_KINDS, completed_before) | dict.fromkeys(FAILED_KINDS, failed_before)
    gone: list[Row] = []
    for status, before in limits.items():  # one bounded seek each: an OR would read all that have ended
        old = _old.fetch(connection, (status, before, most - len(gone)))
        for task_type, n in Counter([task_type for _, task_type in old]).items():
            tally.moved(task_type, status, None, n)
        gone += [(seq,) for seq, _ in old]
    _forget_all(connection, gone)
    return len(gone)


def _forget_all(connection: Connection, seqs: Sequence[Row]) -> None:
    _forget_attempts.run_many(connection, seqs)
    _forget.run_many(connection, seqs)


@attrs.frozen
class Removed:
    """A task that was to be deleted, as it was found; it is gone if it had ended."""

    task_id: str
    task_type: str
    status: TaskStatus


def remove(connection: Connection, task_ids: Sequence[str], tally: Tally) -> list[Removed]:
    """Delete ended tasks with their attempts; unknown ids are left out."""
    found: list[Any] = []
    for part in chunks(sorted({stored_id(task_id) for task_id in task_ids})):
        query = select(task.c.seq, task.c.task_id, task.c.task_type, task.c.status).where(task.c.task_id.in_(part))
        found += connection.execute(query.order_by(task.c.seq).with_for_update()).all()
    gone = [row for row in found if TaskStatus(row.status).ended]
    for row in gone:
        tally.moved(row.task_type, row.status, None)
    _forget_all(connection, [(row.seq,) for row in gone])
    return [Removed(row.task_id, row.task_type, TaskStatus(row.status)) for row in found]


_large = Prepared(
    lambda _: (
        select(task.c.seq, octets(task.c.result_data))
        .where(large, task.c.completed_at < bindparam("before"))
        .order_by(task.c.completed_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    ),
    ("before", "most"),
)
_note = Prepared(
    lambda _: update(task).where(task.c.seq == bindparam("this")).values(result_data=bindparam("json")),
    ("json", "this"),
)


def remove_results(connection: Connection, before: float, now: float, most: int = 50) -> int:
    """Put notes in the place of up to *most* large results of tasks that completed before *before*; how many.

    They are few at a time, since each frees a lot of pages. Smaller results are not looked at: the large ones have
    an index of their own.
    """
    found = _large.fetch(connection, (before, most))
    _note.run_many(connection, [(note_text(size, moment(now)), seq) for seq, size in found])
    return len(found)

"""Steering tasks: cancel, expire, pause. All can be repeated, since a commit's outcome can be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from sqlalchemy import Connection, bindparam, delete, func, literal_column, select, update

from ..core.identity import stored_id
from ..core.stored import error_text
from ..core.task import WAITING, ErrorInfo, TaskStatus, moment
from .engine import insert_or_ignore
from .functions import by_key
from .prepared import Prepared, Row, chunks
from .rollups import Tally
from .schema import may_expire, pause, running, task, waiting

WAITING_WORDS: Final = frozenset(status.value for status in WAITING)


@attrs.frozen
class Cancelled:
    """What a cancel found: *running* is the (seq, attempt, node) to be stopped; *taken* is False for an ended task."""

    task_id: str
    task_type: str
    attempt: int
    taken: bool
    running: tuple[int, int, str] | None = None


_ask_to_stop = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), by_key(running))
        .values(cancel_requested=literal_column("1"))
    ),
    ("this",),
)
_end_waiting = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), waiting)
        .values(
            status=bindparam("to"),
            completed_at=bindparam("now"),
            rank=literal_column("NULL"),
            error_info=func.coalesce(bindparam("json", type_=task.c.error_info.type), task.c.error_info),
        )
    ),
    ("this", "to", "now", "json"),
)


def cancel(connection: Connection, task_ids: Sequence[str], now: float, tally: Tally) -> list[Cancelled]:
    """End waiting tasks, and mark running ones so that they can end in no other way; unknown ids are left out."""
    columns = (task.c.seq, task.c.task_id, task.c.task_type, task.c.status, task.c.attempt, task.c.node)
    found = []
    for part in chunks(sorted({stored_id(task_id) for task_id in task_ids})):
        query = select(*columns).where(task.c.task_id.in_(part)).order_by(task.c.seq).with_for_update()
        found += [tuple(row) for row in connection.execute(query)]
    _ask_to_stop.run_many(connection, [(seq,) for seq, _, _, status, _, _ in found if status == "running"])
    ends = [row for row in found if row[3] in WAITING_WORDS]
    _end_waiting.run_many(connection, [(seq, "cancelled", now, None) for seq, *_ in ends])
    for _, _, task_type, status, _, _ in ends:
        tally.moved(task_type, status, "cancelled")
        tally.happened(task_type, "cancelled")
    return [_cancelled(row) for row in found]


def _cancelled(row: Row) -> Cancelled:
    seq, task_id, task_type, status, number, node = row
    running = (seq, number, node) if status == "running" else None
    return Cancelled(task_id, task_type, number, taken=not TaskStatus(status).ended, running=running)


def cancels_requested(connection: Connection, node: str) -> list[tuple[int, int]]:
    """(seq, attempt) of *node*'s running tasks that somebody cancelled."""
    query = select(task.c.seq, task.c.attempt).where(running, task.c.node == node, task.c.cancel_requested == 1)
    return [(seq, number) for seq, number in connection.execute(query)]


@attrs.frozen
class Expired:
    """A task that did not start in time."""

    task_id: str
    task_type: str
    attempt: int
    error: ErrorInfo


def expire(connection: Connection, now: float, tally: Tally, most: int = 500) -> list[Expired]:
    """End up to *most* waiting tasks whose time to start is over."""
    due = select(task.c.seq, task.c.task_id, task.c.task_type, task.c.attempt, task.c.status).where(
        may_expire, task.c.expires_at <= now
    )
    due = due.order_by(task.c.expires_at).limit(most).with_for_update(skip_locked=True)
    found, ends = [], []
    for seq, task_id, task_type, number, status in connection.execute(due):
        error = ErrorInfo("Expired", "the task was not started in time", "", number, moment(now))
        found.append(Expired(task_id, task_type, number, error))
        ends.append((seq, "timeout", now, error_text(error)))
        tally.moved(task_type, status, "timeout")
        tally.happened(task_type, "timed_out")
    _end_waiting.run_many(connection, ends)
    return found


def set_pause(connection: Connection, kind: str, name: str, now: float) -> None:
    """Pause a lane or a task type, for every node."""
    connection.execute(insert_or_ignore(pause, connection.dialect).values(kind=kind, name=name, since=now))


def end_pause(connection: Connection, kind: str, name: str) -> None:
    """Let a lane or a task type go on."""
    connection.execute(delete(pause).where(pause.c.kind == kind, pause.c.name == name))


def pauses(connection: Connection) -> frozenset[tuple[str, str]]:
    """What is paused: ("lane" or "task_type", name)."""
    return frozenset((kind, name) for kind, name in connection.execute(select(pause.c.kind, pause.c.name)))

"""Writes to tasks: submit, settle, steer, clean up. All can be repeated, since a commit's outcome can be unknown."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

import attrs
from sqlalchemy import Connection, bindparam, delete, func, literal_column, select, update

from ..core.identity import stored_id
from ..core.request import Claimed, NewTask, Receipt
from ..core.stored import error_text
from ..core.task import WAITING, ErrorInfo, TaskStatus, moment
from .engine import insert_or_ignore
from .prepared import Prepared, Row
from .rollups import Tally
from .schema import alive, attempt, ended, may_expire, pause, running, task, waiting

NEW: Final = tuple(field.name for field in attrs.fields(NewTask))
WAITING_WORDS: Final = frozenset(status.value for status in WAITING)
COMPLETED_KINDS: Final = ("completed", "cancelled")
FAILED_KINDS: Final = ("failed", "timeout")

_insert = Prepared(
    lambda dialect: insert_or_ignore(task, dialect).values({name: bindparam(name) for name in NEW}),
    NEW,
)
_row_of: Callable[[NewTask], Row] = attrgetter(*NEW)  # attrs.astuple recurses, and is thirty times slower


def submit(connection: Connection, rows: Sequence[NewTask], tally: Tally) -> list[Receipt]:
    """Insert *rows*; one whose task_id is there, or whose key is taken, stands for the task that is there."""
    return _receipts(connection, rows, _put(connection, rows), tally)


def _put(connection: Connection, rows: Sequence[NewTask]) -> list[bool]:
    """Insert *rows*; which of them took."""
    return _insert.run_each(connection, [_row_of(row) for row in rows])


def _receipts(connection: Connection, rows: Sequence[NewTask], took: Sequence[bool], tally: Tally) -> list[Receipt]:
    _count_new(list(itertools.compress(rows, took)), tally)
    if all(took):
        return [Receipt(row.task_id, True) for row in rows]
    return _recognise(connection, rows, took, tally)


def start(
    connection: Connection, rows: Sequence[NewTask], node: str, now: float, tally: Tally
) -> tuple[list[Receipt], list[Claimed]]:
    """Insert *rows* as leased to *node*, and return what it is to run: a claim without the claim.

    Only for rows that are due, and for which there is room, when nothing else in their lanes could go before them.
    """
    leased = [row.leased(node, now) for row in rows]
    took = _put(connection, leased)
    receipts = _receipts(connection, leased, took, tally)
    if connection.dialect.name == "sqlite" and all(took):
        # One writer at a time, and keys that are counted up: the rows of this transaction stand in a row.
        ((last,),) = _last_seq.fetch(connection)
        return receipts, [Claimed.first(last - len(rows) + 1 + place, row, now) for place, row in enumerate(rows)]
    mine = [row for row, receipt in zip(rows, receipts, strict=True) if receipt.created]
    seqs = _started_by(connection, [row.task_id for row in mine], node)
    return receipts, [Claimed.first(seqs[row.task_id], row, now) for row in mine if row.task_id in seqs]


_last_seq = Prepared(lambda _: select(func.last_insert_rowid()), ())


def _started_by(connection: Connection, task_ids: Sequence[str], node: str) -> dict[str, int]:
    """The seqs of those of *task_ids* that are at their first attempt on *node*."""
    mine = (running, task.c.node == node, task.c.attempt == 1)
    return {
        task_id: seq
        for part in chunks(task_ids)
        for task_id, seq in connection.execute(
            select(task.c.task_id, task.c.seq).where(task.c.task_id.in_(part), *mine)
        )
    }


def _count_new(rows: Sequence[NewTask], tally: Tally) -> None:
    for (task_type, status), n in Counter([(row.task_type, row.status) for row in rows]).items():
        tally.moved(task_type, None, status, n)
        tally.happened(task_type, "submitted", n)
        if status == "running":
            tally.happened(task_type, "started", n)


def _recognise(connection: Connection, rows: Sequence[NewTask], took: Sequence[bool], tally: Tally) -> list[Receipt]:
    """Whose tasks are there, after some inserts did not take: one with my nonce is mine, from an earlier try."""
    refused = [row for row, new in zip(rows, took, strict=True) if not new]
    nonces = {
        task_id: nonce
        for part in chunks([row.task_id for row in refused])
        for task_id, nonce in connection.execute(select(task.c.task_id, task.c.nonce).where(task.c.task_id.in_(part)))
    }
    holders = _holders(connection, [row for row in refused if row.task_id not in nonces])
    created = set(itertools.compress([row.task_id for row in rows], took))
    receipts = []
    for row, new in zip(rows, took, strict=True):
        if new:
            receipts.append(Receipt(row.task_id, created=True))
        elif row.task_id in nonces:
            mine = nonces[row.task_id] == row.nonce and row.task_id not in created
            created.add(row.task_id)
            receipts.append(Receipt(row.task_id, created=mine))
        else:
            receipts.append(_held(connection, row, holders, tally))
    return receipts


def _holders(connection: Connection, rows: Sequence[NewTask]) -> dict[tuple[str, str | None], str]:
    """The living tasks that hold the keys of *rows*: (task type, key) to task id."""
    keys = defaultdict(set)
    for row in rows:
        if row.key is not None:
            keys[row.task_type].add(row.key)
    return {
        (task_type, key): task_id
        for task_type, wanted in keys.items()
        for part in chunks(sorted(wanted))
        for key, task_id in connection.execute(
            select(task.c.key, task.c.task_id).where(task.c.task_type == task_type, task.c.key.in_(part), alive)
        )
    }


def _held(connection: Connection, row: NewTask, holders: dict[tuple[str, str | None], str], tally: Tally) -> Receipt:
    """Which of *holders* kept *row* out. Another node may have ended that task meanwhile: then *row* goes in."""
    if (holder := holders.get((row.task_type, row.key))) is not None:
        return Receipt(holder, created=False)
    took = _insert.run(connection, _row_of(row)) > 0
    if took and row.key is not None:
        holders[row.task_type, row.key] = row.task_id
    (receipt,) = _receipts(connection, [row], [took], tally)
    return receipt


def chunks(items: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    """*items* in parts, since both databases bound the number of a statement's parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))


@attrs.frozen
class Cancelled:
    """What a cancel found: *running* is the (seq, attempt, node) to be stopped; *taken* is False for an ended task."""

    task_id: str
    task_type: str
    attempt: int
    taken: bool
    running: tuple[int, int, str] | None = None


_ask_to_stop = Prepared(
    lambda _: update(task).where(task.c.seq == bindparam("this"), running).values(cancel_requested=literal_column("1")),
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


_progress = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), task.c.attempt == bindparam("number"), running)
        .values(progress=bindparam("json"))
    ),
    ("this", "number", "json"),
)


def set_progress(connection: Connection, rows: Sequence[tuple[int, int, str]]) -> None:
    """Store what running attempts said of themselves: (seq, attempt, JSON text)."""
    _progress.run_many(connection, rows)


_keep = Prepared(
    lambda dialect: insert_or_ignore(attempt, dialect).values(
        {column.name: bindparam(column.name) for column in attempt.c}
    ),
    tuple(column.name for column in attempt.c),
)


def keep_attempts(connection: Connection, rows: Sequence[Row]) -> None:
    """Write down attempts that did not simply succeed."""
    if rows:
        _keep.run_many(connection, rows)


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
    _forget_attempts.run_many(connection, gone)
    _forget.run_many(connection, gone)
    return len(gone)


def set_pause(connection: Connection, kind: str, name: str, now: float) -> None:
    """Pause a lane or a task type, for every node."""
    connection.execute(insert_or_ignore(pause, connection.dialect).values(kind=kind, name=name, since=now))


def end_pause(connection: Connection, kind: str, name: str) -> None:
    """Let a lane or a task type go on."""
    connection.execute(delete(pause).where(pause.c.kind == kind, pause.c.name == name))


def pauses(connection: Connection) -> frozenset[tuple[str, str]]:
    """What is paused: ("lane" or "task_type", name)."""
    return frozenset((kind, name) for kind, name in connection.execute(select(pause.c.kind, pause.c.name)))

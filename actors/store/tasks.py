"""New tasks, and what their attempts leave behind. All can be repeated, since a commit's outcome can be unknown."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from ..core.request import Claimed, NewTask, Receipt
from .engine import insert_or_ignore, lock_in_order
from .functions import by_key
from .prepared import Prepared, Row, chunks
from .rollups import Tally
from .schema import alive, attempt, running, task

NEW: Final = NewTask._fields

# Known by its nonce: of two rows of one id it is the second that takes, if the first one's key is taken.
_insert = Prepared(lambda dialect: insert_or_ignore(task, dialect), NEW, known=("nonce", "seq"))


def submit(connection: Connection, rows: Sequence[NewTask], tally: Tally) -> list[Receipt]:
    """Insert *rows*; one whose task_id is there, or whose key is taken, stands for the task that is there."""
    return _receipts(connection, rows, _insert.run_each(connection, rows), tally)


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
    took, seqs = _put(connection, leased)
    receipts = _receipts(connection, leased, took, tally)
    mine = [row for row, receipt in zip(rows, receipts, strict=True) if receipt.created]
    seqs |= _started_by(connection, [row.task_id for row in mine if row.task_id not in seqs], node)
    return receipts, [Claimed.first(seqs[row.task_id], row, now) for row in mine if row.task_id in seqs]


def _put(connection: Connection, rows: Sequence[NewTask]) -> tuple[Sequence[bool], dict[str, int]]:
    """Insert *rows*; which of them took, and the seqs by task id, as far as the database tells them with that."""
    if connection.dialect.name == "postgresql":
        seqs = _insert.fetch_each(connection, rows)
        known = {row.task_id: seq for row, seq in zip(rows, seqs, strict=True) if seq is not None}
        return [seq is not None for seq in seqs], known
    took = _insert.run_each(connection, rows)
    if not all(took):
        return took, {}
    # One writer at a time, and keys that are counted up: the rows of this transaction stand in a row.
    ((last,),) = _last_seq.fetch(connection)
    return took, {row.task_id: last - len(rows) + 1 + place for place, row in enumerate(rows)}


_last_seq = Prepared(lambda _: select(func.last_insert_rowid()), ())


def _started_by(connection: Connection, task_ids: Sequence[str], node: str) -> dict[str, int]:
    """The seqs of those of *task_ids* that are at their first attempt on *node*."""
    return {
        task_id: seq
        for part in chunks(task_ids)
        for task_id, seq in connection.execute(
            select(task.c.task_id, task.c.seq).where(
                task.c.task_id.in_(part), running, task.c.node == node, task.c.attempt == literal_column("1")
            )
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
    took = _insert.run(connection, row) > 0
    if took and row.key is not None:
        holders[row.task_type, row.key] = row.task_id
    (receipt,) = _receipts(connection, [row], [took], tally)
    return receipt


def lock(connection: Connection, seqs: Iterable[int]) -> None:
    """Lock the rows of *seqs* in their order: what a cancel locks, from another node, goes by the same."""
    lock_in_order(connection, task, seqs)


_progress = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), by_key((task.c.attempt == bindparam("number")) & running))
        .values(progress=bindparam("json"))
    ),
    ("this", "number", "json"),
)


def set_progress(connection: Connection, rows: Sequence[tuple[int, int, str]]) -> None:
    """Store what running attempts said of themselves: (seq, attempt, JSON text)."""
    _progress.run_many(connection, rows)


_keep = Prepared(lambda dialect: insert_or_ignore(attempt, dialect), tuple(column.name for column in attempt.c))


def keep_attempts(connection: Connection, rows: Sequence[Row]) -> None:
    """Write down attempts that did not simply succeed."""
    if rows:
        _keep.run_many(connection, rows)

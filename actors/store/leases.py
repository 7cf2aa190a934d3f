"""What nodes run, what becomes of it when they die, and what they give back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import attrs
from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, literal_column, select, update

from ..core.crash import Verdict, after_crash
from ..core.lifecycle import Transition, target
from ..core.outcome import AttemptOutcome
from ..core.priority import rank
from ..core.stored import error_text
from ..core.task import ErrorInfo, TaskStatus, moment
from .functions import by_key
from .prepared import Prepared, Row
from .rollups import Tally
from .schema import ranked, running, task
from .tasks import keep_attempts

_to_be_cancelled = task.c.cancel_requested == literal_column("1")


class _Left(NamedTuple):
    """What a dead node left RUNNING."""

    seq: int
    task_id: str
    task_type: str
    attempt: int
    node: str
    started_at: float
    due_at: float
    priority: int
    crash_count: int
    crashes_seen: int
    cancel_requested: int


_mine = task.c.node == bindparam("whose")


def _running(*which: ColumnElement[bool]) -> Select[Any]:
    columns = select(*(task.c[name] for name in _Left._fields)).where(running, *which)
    # As the index of running tasks has them: by seq alone is a walk of all rows.
    return columns.order_by(task.c.node, task.c.seq).with_for_update()


_left = Prepared(lambda _: _running(), ())
_left_by = Prepared(lambda _: _running(_mine), ("whose",))
_recover = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), by_key(running))
        .values(
            status=bindparam("to"),
            crash_count=bindparam("charged"),
            crashes_seen=bindparam("seen"),
            alone=bindparam("by_itself"),
            rank=bindparam("place"),
            completed_at=bindparam("at"),
            node=bindparam("by"),
            error_info=func.coalesce(bindparam("json", type_=task.c.error_info.type), task.c.error_info),
        )
    ),
    ("to", "charged", "seen", "by_itself", "place", "at", "by", "json", "this"),
)
_give_back = Prepared(
    lambda _: (
        update(task)
        .where(task.c.seq == bindparam("this"), by_key((task.c.attempt == bindparam("number")) & running))
        .values(
            status=case((_to_be_cancelled, literal_column("'cancelled'")), else_=literal_column("'pending'")),
            completed_at=case((_to_be_cancelled, bindparam("now", type_=task.c.rank.type))),
            rank=case((~_to_be_cancelled, ranked)),
            node=literal_column("NULL"),
        )
        .returning(task.c.task_type, task.c.status)
    ),
    ("now", "aging", "this", "number"),
)


@attrs.frozen
class Recovered:
    """A task that a dead node left RUNNING, and what it is now."""

    seq: int
    task_id: str
    task_type: str
    attempt: int
    status: TaskStatus
    error: ErrorInfo | None


def recover(
    connection: Connection,
    started: Collection[tuple[int, int]] | None,
    now: float,
    aging: float,
    tally: Tally,
    node: str | None = None,
) -> list[Recovered]:
    """Take back every RUNNING task of dead nodes.

    Args:
        started: (seq, attempt) of the handlers that ran when the node died; None: nobody knows, and all may have.
        now: epoch seconds.
        aging: seconds of waiting that one step of priority is worth.
        node: whose tasks; None: of whatever node, since the caller knows that they are all dead.
    """
    found = _left.fetch(connection) if node is None else _left_by.fetch(connection, (node,))
    rows = [_Left(*row) for row in found]
    running_there = {(row.seq, row.attempt) for row in rows}
    ran = running_there if started is None else running_there & set(started)
    at_work = Counter(row.node for row in rows)
    fates = [_fate(row, (row.seq, row.attempt) in ran, at_work[row.node] - 1, now) for row in rows]
    _recover.run_many(connection, [_new_values(fate, now, aging) for fate in fates])
    keep_attempts(connection, [_attempt_row(fate, now) for fate in fates])
    _count(fates, tally)
    return [
        Recovered(fate.row.seq, fate.row.task_id, fate.row.task_type, fate.row.attempt, fate.status, fate.error)
        for fate in fates
    ]


def _count(fates: Sequence[_Fate], tally: Tally) -> None:
    for fate in fates:
        status = fate.status.value
        tally.moved(fate.row.task_type, "running", status)
        tally.happened(fate.row.task_type, "recovered" if fate.status is TaskStatus.PENDING else status)
        if fate.error is not None:
            tally.erred(fate.row.task_type, fate.error.type)


@attrs.frozen
class _Fate:
    """What becomes of one of them; *ran* says that its handler had started."""

    row: _Left
    ran: bool
    verdict: Verdict
    status: TaskStatus
    error: ErrorInfo | None = None

    @property
    def error_text(self) -> str | None:
        return None if self.error is None else error_text(self.error)


def _fate(row: _Left, ran: bool, company: int, now: float) -> _Fate:
    verdict = after_crash(row.crash_count, row.crashes_seen, started=ran, company=company)
    if row.cancel_requested:
        return _Fate(row, ran, verdict, target(Transition.CANCEL))
    if not verdict.failed:
        return _Fate(row, ran, verdict, target(Transition.RECOVER))
    message = (
        f"the process died while only this task ran, after {row.crashes_seen} crashes that it was present at;"
        " it is not tried again"
    )
    error = ErrorInfo("ProcessCrashed", message, "", row.attempt, moment(now))
    return _Fate(row, ran, verdict, target(Transition.FAIL), error)


def _new_values(fate: _Fate, now: float, aging: float) -> Row:
    row, verdict = fate.row, fate.verdict
    waits = fate.status is TaskStatus.PENDING
    return (
        fate.status.value, verdict.crash_count, verdict.crashes_seen, int(verdict.alone),
        rank(row.due_at, row.priority, aging) if waits else None,
        None if waits else now,
        None if waits else row.node,
        fate.error_text,
        row.seq,
    )  # fmt: skip


def _attempt_row(fate: _Fate, now: float) -> Row:
    row = fate.row
    how = AttemptOutcome.CRASHED if fate.ran else AttemptOutcome.LOST
    return row.seq, row.attempt, row.node, row.started_at, now, how.value, fate.error_text


def held_by(connection: Connection, node: str) -> list[tuple[int, int]]:
    """(seq, attempt) of every task that *node* runs, as far as the database knows."""
    query = select(task.c.seq, task.c.attempt).where(running, task.c.node == node)
    return [(seq, number) for seq, number in connection.execute(query)]


def give_back(
    connection: Connection, attempts: Sequence[tuple[int, int]], now: float, aging: float, tally: Tally
) -> list[int]:
    """Return claimed attempts whose handler never started, uncounted; the seqs that were still theirs.

    One that was cancelled meanwhile ends so.
    """
    back = []
    for seq, attempt in attempts:
        for task_type, status in _give_back.fetch(connection, (now, aging, seq, attempt)):
            tally.moved(task_type, "running", status)
            tally.happened(task_type, "returned" if status == "pending" else status)
            back.append(seq)
    return back

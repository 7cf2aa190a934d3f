"""Pages of tasks in four orders. Each is a few bounded seeks behind the last page's last task, whatever there is."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, literal_column, select, tuple_

from ..core.errors import IllegalTransition, InvalidOption, TaskNotFound
from ..core.identity import stored_id
from ..core.priority import rank
from ..core.task import ENDED, WAITING, Order, Task, TaskStatus
from .schema import claimable, claimable_alone, ended, running, task, to_be_promoted
from .views import Filter, matching, task_of

Place = tuple[float, int]
"""What a task stands at in an order, and its seq, which decides between equals."""


def page(
    connection: Connection, which: Filter, order: Order, limit: int, after: str | None, aging: float
) -> list[Task]:
    """Up to *limit* tasks from behind the task *after*. See `TaskSystem.list` for the orders.

    Args:
        aging: seconds of waiting that one step of priority is worth.

    Raises:
        TaskNotFound: *after* is not stored (any more), so that nobody takes the end of a list for the whole.
        IllegalTransition: *after* has no place in this order any more, since it was revived.
        InvalidOption: the order has no tasks in the state that is asked for.
    """
    last = None if after is None else _last(connection, after)
    match order:
        case "newest" | "oldest":
            seqs = _submitted(connection, which, limit, last, newest_first=order == "newest")
        case "due":
            seqs = _due(connection, which, limit, last, aging)
        case "ended":
            seqs = _ended(connection, which, limit, last)
    return _tasks(connection, seqs)


def _last(connection: Connection, after: str) -> Row[Any]:
    columns = (task.c.seq, task.c.task_id, task.c.status, task.c.rank, task.c.due_at, task.c.priority)
    query: Select[Any] = select(*columns, task.c.completed_at).where(task.c.task_id == stored_id(after))
    if (last := connection.execute(query).one_or_none()) is None:
        raise TaskNotFound.of(after)
    return last


def _tasks(connection: Connection, seqs: Sequence[int]) -> list[Task]:
    rows = connection.execute(select(task).where(task.c.seq.in_(seqs))) if seqs else ()
    found = {row.seq: task_of(row) for row in rows}
    return [found[seq] for seq in seqs]


def _submitted(
    connection: Connection, which: Filter, limit: int, last: Row[Any] | None, *, newest_first: bool
) -> list[int]:
    query = matching(select(task.c.seq), which)
    seq: ColumnElement[int] = task.c.seq
    if which.status is TaskStatus.RUNNING:  # few: they are sorted, since in the order of seq all that ended are read
        query, seq = query.where(running), seq + literal_column("0")
    if last is not None:
        query = query.where(seq < last.seq if newest_first else seq > last.seq)
    query = query.order_by(seq.desc() if newest_first else seq).limit(limit)
    return [seq for (seq,) in connection.execute(query)]


def _ended(connection: Connection, which: Filter, limit: int, last: Row[Any] | None) -> list[int]:
    """One seek for each of the end states, merged."""
    if last is not None and last.completed_at is None:
        raise IllegalTransition(
            f"the page behind task {last.task_id!r} cannot be told: it is {last.status} (again), and has no place among"
            " the ended tasks; begin with the first page"
        )
    found: list[Place] = []
    for status in _states(which, "ended", ENDED):
        here = task.c.status == literal_column(f"'{status.value}'")
        query = matching(select(task.c.completed_at, task.c.seq), which).where(ended, here)
        if last is not None:
            query = query.where(tuple_(task.c.completed_at, task.c.seq) < (last.completed_at, last.seq))
        query = query.order_by(task.c.completed_at.desc(), task.c.seq.desc()).limit(limit)
        found += [(at, seq) for at, seq in connection.execute(query)]
    return [seq for _, seq in heapq.nlargest(limit, found)]


def _due(connection: Connection, which: Filter, limit: int, last: Row[Any] | None, aging: float) -> list[int]:
    """Those that are ready, by rank: one seek for each lane and type that has some; then the others by due time."""
    _states(which, "due", WAITING)
    ready = last is None or last.rank is not None or last.status not in {status.value for status in WAITING}
    seqs: list[int] = []
    if ready:
        behind = None if last is None else (rank(last.due_at, last.priority, aging), last.seq)
        seqs = _ready(connection, which, limit, behind)
    if len(seqs) < limit:
        behind = None if ready or last is None else (last.due_at, last.seq)
        query = matching(select(task.c.due_at, task.c.seq), which).where(to_be_promoted)
        later = _first(connection, query, task.c.due_at, limit - len(seqs), behind)
        seqs += [seq for _, seq in later]
    return seqs


def _ready(connection: Connection, which: Filter, limit: int, behind: Place | None) -> list[int]:
    found: list[Place] = []
    for condition in (claimable, claimable_alone):
        for lane, task_type in _pairs(connection, which, condition):
            query = matching(select(task.c.rank, task.c.seq), which)
            query = query.where(condition, task.c.lane == lane, task.c.task_type == task_type)
            found += _first(connection, query, task.c.rank, limit, behind)
    return [seq for _, seq in heapq.nsmallest(limit, found)]


def _first(
    connection: Connection, query: Select[tuple[Any, int]], key: ColumnElement[Any], limit: int, behind: Place | None
) -> list[Place]:
    if behind is not None:
        query = query.where(tuple_(key, task.c.seq) > behind)
    return [(at, seq) for at, seq in connection.execute(query.order_by(key, task.c.seq).limit(limit))]


def _pairs(connection: Connection, which: Filter, condition: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """The lanes and types that *which* means and that have rows of *condition*: a seek for each that has some."""
    query = select(task.c.lane, task.c.task_type).where(condition).order_by(task.c.lane, task.c.task_type).limit(1)
    pair = connection.execute(query).one_or_none()
    while pair is not None:
        lane, task_type = pair
        if which.lane in (None, lane) and which.task_type in (None, task_type):
            yield lane, task_type
        behind = tuple_(task.c.lane, task.c.task_type) > (lane, task_type)
        pair = connection.execute(query.where(behind)).one_or_none()


def _states(which: Filter, order: Order, states: frozenset[TaskStatus]) -> list[TaskStatus]:
    """Those of *states* that *which* asks for."""
    if which.status is None:
        return sorted(states, key=lambda status: status.value)
    if which.status not in states:
        known = ", ".join(sorted(status.name for status in states))
        raise InvalidOption(f"no {which.status.name} task has a place in the order {order!r}; status may be {known}")
    return [which.status]

"""What the tasks that have not ended may still bring about on one node."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from sqlalchemy import Connection, func, select

from .schema import alive, running, task, waiting


@attrs.frozen
class Outlook:
    """Two that are equal have nothing but time between them.

    Attributes:
        running: tasks that run.
        unlimited: those of them that no time limit will end.
        due: waiting tasks that could start now, but for room.
        next_due: epoch seconds at which the next one could start; None: none will.
        attempts: of all that have not ended, together.
    """

    running: int
    unlimited: int
    due: int
    next_due: float | None
    attempts: int


def outlook(connection: Connection, types: Sequence[str], lanes: Sequence[str], now: float) -> Outlook:
    """The state of things at *now*, where *types* and *lanes* are those that may start; all others wait for help."""
    ready = waiting & task.c.task_type.in_(types) & task.c.lane.in_(lanes)
    query = select(
        func.count().filter(running),
        func.count().filter(running & task.c.timeout_seconds.is_(None)),
        func.count().filter(ready & (task.c.due_at <= now)),
        func.min(task.c.due_at).filter(ready & (task.c.due_at > now)),
        func.coalesce(func.sum(task.c.attempt), 0),
    ).where(alive)
    return Outlook(*connection.execute(query).one())

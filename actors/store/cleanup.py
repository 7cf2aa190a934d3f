"""Removing what has ended long ago, in batches, so that the hot path never waits for long."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from .prepared import Prepared, Row
from .rollups import Tally
from .schema import attempt, ended, task

COMPLETED_KINDS: Final = ("completed", "cancelled")
FAILED_KINDS: Final = ("failed", "timeout")

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

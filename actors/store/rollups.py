"""Counters, kept in the same transaction as what they count, so that nobody ever counts rows.

One table serves them all. `width` 0 holds gauges (how many tasks of a type are in each state), 60 and 3600
hold what happened in a minute or an hour.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, delete, func, or_, select, tuple_

from ..core.duration import bucket
from ..core.task import TaskStatus
from .engine import insert_or_add
from .prepared import Prepared, Row
from .schema import counter

MINUTE: Final = 60
HOUR: Final = 3600
MINUTES_KEPT_SECONDS: Final = 48 * HOUR
LONGEST_NAME: Final = 80

_add = Prepared(lambda dialect: insert_or_add(counter, "value", dialect), tuple(column.name for column in counter.c))


class Tally:
    """What one transaction changes in the counters."""

    def __init__(self, node: str, now: float) -> None:
        self._node = node
        self._minute = int(now) // MINUTE * MINUTE
        self._gauges: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._flows: defaultdict[tuple[str, str], int] = defaultdict(int)

    def moved(self, task_type: str, source: str | None, target: str | None, count: int = 1) -> None:
        """*count* tasks went from one state to another; None stands for outside of the table."""
        if source is not None:
            self._gauges[task_type, source] -= count
        if target is not None:
            self._gauges[task_type, target] += count

    def happened(self, task_type: str, name: str, count: int = 1) -> None:
        """Something happened *count* times in this minute."""
        self._flows[task_type, name[:LONGEST_NAME]] += count

    def erred(self, task_type: str, error_type: str) -> None:
        """An attempt ended with an error of this type: a user's name, which may hold what no database takes."""
        name = error_type.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        self.happened(task_type, f"error:{name}")

    def ran(self, task_type: str, seconds: float) -> None:
        """An attempt that completed took this long."""
        self._flows[task_type, "micros"] += round(seconds * 1e6)
        self._flows[task_type, f"bucket:{bucket(seconds)}"] += 1

    def store(self, connection: Connection) -> None:
        """Add it to the table, in key order, so that two nodes' transactions cannot deadlock here."""
        rows: list[Row] = [(0, 0, kind, self._node, f"status:{name}", n) for (kind, name), n in self._gauges.items()]
        rows += [(MINUTE, self._minute, kind, self._node, name, n) for (kind, name), n in self._flows.items()]
        rows = [row for row in rows if row[-1]]
        if rows:
            rows.sort()
            _add.put_off_many(connection, rows)


def by_status(connection: Connection, task_type: str | None = None) -> dict[str, int]:
    """How many tasks are in each state."""
    query = select(counter.c.name, func.sum(counter.c.value)).where(counter.c.width == 0).group_by(counter.c.name)
    if task_type is not None:
        query = query.where(counter.c.task_type == task_type)
    found = {name.removeprefix("status:"): int(total) for name, total in connection.execute(query)}
    return {status.value: found.get(status.value, 0) for status in TaskStatus}


def by_type(connection: Connection) -> dict[str, int]:
    """How many tasks of each type are stored, in any state."""
    query = select(counter.c.task_type, func.sum(counter.c.value)).where(counter.c.width == 0)
    found = connection.execute(query.group_by(counter.c.task_type).order_by(counter.c.task_type))
    return {task_type: int(total) for task_type, total in found if total}


def flows(connection: Connection, since: float = 0.0) -> dict[str, int]:
    """The sums of all that happened in periods that ended after *since* (epoch seconds), by name."""
    periods = [(counter.c.width == width) & (counter.c.period > since - width) for width in (MINUTE, HOUR)]
    query = select(counter.c.name, func.sum(counter.c.value)).where(or_(*periods)).group_by(counter.c.name)
    return {name: int(total) for name, total in connection.execute(query)}


def reset(connection: Connection, now: float, most: int = 2000) -> bool:
    """Forget some *most* rows of what happened, oldest first; whether there is more from before this minute.

    The gauges stay: they say how many tasks there are.
    """
    flows = counter.c.width > 0
    past = select(counter.c.width, counter.c.period).where(flows, counter.c.period < now - MINUTE)
    edge = connection.execute(past.order_by(counter.c.width, counter.c.period).offset(most).limit(1)).one_or_none()
    if edge is not None:
        flows &= tuple_(counter.c.width, counter.c.period) <= tuple(edge)
    connection.execute(delete(counter).where(flows))
    return edge is not None


def fold(connection: Connection, now: float) -> int:
    """Gather the minutes of one hour, the oldest of those over 48 hours old, into that hour; how many rows there were.

    The caller goes on until it is 0. Repeating it, or two at once, counts nothing twice.
    """
    minutes = counter.c.width == MINUTE
    first = connection.execute(select(func.min(counter.c.period)).where(minutes)).scalar()
    # Whole hours only: what is younger may still be asked for by the minute.
    if first is None or first >= int(now - MINUTES_KEPT_SECONDS) // HOUR * HOUR:
        return 0
    hour = first - first % HOUR
    # Two nodes at once: the second one's DELETE waits, and then finds nothing.
    gone = delete(counter).where(minutes, counter.c.period < hour + HOUR).returning(*counter.c)
    rows = connection.execute(gone).all()
    sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for _, _, task_type, node, name, value in rows:
        sums[task_type, node, name] += value
    _add.run_many(connection, [(HOUR, hour, *key, total) for key, total in sorted(sums.items())])
    return len(rows)

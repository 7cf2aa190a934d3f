"""Claiming work: the one place where the order of tasks is decided, and promoting what has come due.

A claim merges one bounded seek in the partial index (lane, task_type, rank, seq) for each eligible type. Rows that
are paused, unknown here, over their type's limit, in the future or ended are never touched, however many there are.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import attrs
from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
    update,
)

from ..core.priority import rank
from ..core.request import Claimed
from .prepared import Prepared
from .rollups import Tally
from .schema import claimable, claimable_alone, may_expire, ranked, task, to_be_promoted

CLAIMED = tuple(task.c[name] for name in Claimed._fields)
MOST_ARMS = 200


@attrs.frozen
class Room:
    """How much one lane can start now, in all and of each eligible task type.

    Attributes:
        depths: task type → how many of it share a slot; 1 for one that is not named.
    """

    lane: str
    slots: int
    types: Mapping[str, int]
    depths: Mapping[str, int] = {}

    def less(self, taken: Sequence[Claimed]) -> Room:
        """The room that is left after *taken*, in other lanes, since a type's limit holds for all of them."""
        if not taken:
            return self
        counts = Counter([row.task_type for row in taken])
        types = {name: left - counts[name] for name, left in self.types.items()}
        return Room(self.lane, self.slots, types, self.depths)

    def beside(self, taken: Sequence[Claimed]) -> Iterator[Room]:
        """What is left of the slots that *taken* fills, for more of the same types, one type after the other.

        Only full slots are shared out, and by what was next in the order of ranks: so a task that needs a slot of its
        own waits for no more than one.
        """
        rest = self.less(taken)
        free = self.slots - sum(1 / self.depths.get(row.task_type, 1) for row in taken)
        for name in dict.fromkeys(row.task_type for row in taken):
            if (most := min(int(free * self.depths.get(name, 1)), rest.types[name])) > 0:
                free -= most / self.depths.get(name, 1)
                yield Room(self.lane, most, {name: most})


@attrs.frozen
class Claim:
    """What a claim brought; *alone_waits* if nothing else may start until a suspect has run alone."""

    tasks: list[Claimed]
    alone_waits: bool = False


def claim(
    connection: Connection, rooms: Sequence[Room], node: str, now: float, aging: float, tally: Tally, *, idle: bool
) -> Claim:
    """Lease to *node* what *rooms* can start at once, in rank order; *idle* says that nothing runs there."""
    suspect = _suspect(connection, rooms, now)
    if suspect is not None and not idle:
        return Claim([], alone_waits=True)
    if suspect is not None:
        found = [Claimed._make(row) for row in _take.fetch(connection, (node, now, *suspect))]
    else:
        found = []
        for room in rooms:
            first = _claim_lane(connection, room.less(found), node, now, aging)
            if room.depths and len(first) == room.slots:
                for more in room.less(found).beside(first):
                    first += _claim_lane(connection, more, node, now, aging)
            found += first
    for (task_type, status), n in Counter([(row.task_type, row.claimed_as) for row in found]).items():
        tally.moved(task_type, status, "running", n)
        tally.happened(task_type, "started", n)
    return Claim(found)


_unexpired = task.c.expires_at.is_(None) | (task.c.expires_at > bindparam("now"))

_suspects = Prepared(
    lambda _: (
        select(task.c.lane, task.c.task_type, func.min(task.c.rank))
        .where(claimable_alone, _unexpired)
        .group_by(task.c.lane, task.c.task_type)
    ),
    ("now",),
)


def _suspect(connection: Connection, rooms: Sequence[Room], now: float) -> tuple[str, str] | None:
    """The lane and type of the first task that has to run alone, and may run here."""
    waiting = _suspects.fetch(connection, (now,))
    if not waiting:
        return None
    eligible = {(room.lane, task_type) for room in rooms for task_type in room.types}
    found = [(first, lane, task_type) for lane, task_type, first in waiting if (lane, task_type) in eligible]
    return min(found)[1:] if found else None


def _lease(picked: CTE, dialect: Dialect) -> Executable:
    """The UPDATE that hands the *picked* rows to a node."""
    return (
        update(task)
        .where(_among(picked, dialect))
        .values(
            status=literal_column("'running'"),
            claimed_as=task.c.status,
            attempt=task.c.attempt + literal_column("1"),
            node=bindparam("by"),
            started_at=bindparam("now"),
            progress=literal_column("NULL"),
            rank=literal_column("NULL"),
        )
        .returning(*CLAIMED)
    )


def _picked(query: Select[tuple[int]], dialect: Dialect) -> CTE:
    """*query* run once: without MATERIALIZED, PostgreSQL's planner may lock more rows than LIMIT says."""
    found = query.cte("picked")
    return found.prefix_with("MATERIALIZED") if dialect.name == "postgresql" else found


def _among(picked: CTE, dialect: Dialect) -> ColumnElement[bool]:
    """That a row is *picked*.

    As an array PostgreSQL looks them up by their key, in its order, whatever its statistics say; a join with what a
    LIMIT lets through may read the whole table, since the planner takes that for a tenth of all rows.
    """
    seqs = select(picked.c.seq)
    if dialect.name == "postgresql":
        return task.c.seq == func.any(func.array(seqs.scalar_subquery()))
    return task.c.seq.in_(seqs)


def _build_take(dialect: Dialect) -> Executable:
    first = (
        select(task.c.seq)
        .where(task.c.lane == bindparam("of"), task.c.task_type == bindparam("type"), claimable_alone, _unexpired)
        .order_by(task.c.rank, task.c.seq)
        .limit(literal_column("1"))
        .with_for_update(skip_locked=True)
    )
    return _lease(_picked(first, dialect), dialect)


_take = Prepared(_build_take, ("by", "now", "of", "type"))


def _claim_lane(connection: Connection, room: Room, node: str, now: float, aging: float) -> list[Claimed]:
    types = [(name, min(free, room.slots)) for name, free in room.types.items() if free > 0]
    if room.slots <= 0 or not types:
        return []
    arms = 1 << (len(types) - 1).bit_length()  # few statements to compile; an arm with LIMIT 0 costs nothing
    types += [("", 0)] * (arms - len(types))
    seeks = [value for seek in types for value in seek]
    found = _claim_statement(arms).fetch(connection, (node, now, room.lane, room.slots, *seeks))
    claimed = [Claimed._make(row) for row in found]
    if len(claimed) > 1:  # UPDATE … RETURNING keeps no order
        claimed.sort(key=lambda row: (rank(row.due_at, row.priority, aging), row.seq))
    return claimed


@functools.cache
def _claim_statement(types: int) -> Prepared:
    """The claim over up to *types* eligible types of one lane."""
    seeks = [value for number in range(types) for value in (f"type_{number}", f"most_{number}")]
    return Prepared(functools.partial(_build_claim, types), ("by", "now", "of", "most", *seeks))


def _build_claim(types: int, dialect: Dialect) -> Executable:
    arms = [_seek(number) for number in range(types)]
    while len(arms) > 1:  # SQLite takes at most 500 arms in one UNION
        parts = [arms[start : start + MOST_ARMS] for start in range(0, len(arms), MOST_ARMS)]
        arms = [_merged(part) for part in parts]
    merged = arms[0].subquery()
    first = select(merged.c.seq).order_by(merged.c.rank, merged.c.seq).limit(bindparam("most"))
    return _lease(_picked(first, dialect), dialect)


def _merged(arms: Sequence[Select[tuple[int, float]]]) -> Select[tuple[int, float]]:
    merged = union_all(*arms).subquery()
    return select(merged.c.seq, merged.c.rank)


def _seek(number: int) -> Select[tuple[int, float]]:
    """The first claimable rows of one type."""
    seek = (
        select(task.c.seq, task.c.rank)
        .where(task.c.lane == bindparam("of"), task.c.task_type == bindparam(f"type_{number}"))
        .where(claimable, _unexpired)
        .order_by(task.c.rank, task.c.seq)
        .limit(bindparam(f"most_{number}"))
        # Without SKIP LOCKED two nodes would wait for each other's claims; SQLite has one writer and no such words.
        .with_for_update(skip_locked=True)
        .subquery()
    )
    return select(seek.c.seq, seek.c.rank)


def _build_promote(dialect: Dialect) -> Executable:
    due = (
        select(task.c.seq)
        .where(to_be_promoted, task.c.due_at <= bindparam("until"))
        .order_by(task.c.due_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    picked = _among(_picked(due, dialect), dialect)
    return update(task).where(picked).values(rank=ranked).returning(task.c.seq)


_promote = Prepared(_build_promote, ("aging", "until", "most"))


def promote(connection: Connection, until: float, aging: float, most: int = 1000) -> int:
    """Give up to *most* tasks that are due by *until* (epoch seconds) their rank; how many there were."""
    return len(_promote.fetch(connection, (aging, until, most)))


_first_due = Prepared(lambda _: select(func.min(task.c.due_at)).where(to_be_promoted), ())
_first_expiry = Prepared(lambda _: select(func.min(task.c.expires_at)).where(may_expire), ())


def next_due(connection: Connection) -> float | None:
    """When the next task comes due or expires, in epoch seconds."""
    moments = [moment for first in (_first_due, _first_expiry) for (moment,) in first.fetch(connection)]
    return min((moment for moment in moments if moment is not None), default=None)

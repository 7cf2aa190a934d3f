"""One transaction of the writer: the messages of a batch, applied in order, and a record of what they did."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, ClassVar, Final, Self

from ..core.news import News
from ..core.outcome import Change
from ..core.priority import rank
from ..core.request import Claimed, NewTask, Receipt
from ..kernel import Ask
from ..store import claim, leases, steer, tasks
from ..store.connection import Connection
from ..store.leases import Recovered
from ..store.revive import Revived
from ..store.rollups import Tally
from ..store.settle import Settled
from ..store.steer import Cancelled, Expired
from .board import Word

SHARD: Final = ""
"""The counter rows of an SQLite file: its writers take turns anyway, so that one set serves all."""


class Transaction:
    """What one transaction works with, and what it has done; told to the Monitor after the commit.

    Args:
        shard: whose counter rows it adds to.

    Attributes:
        in_company: whether other nodes write too, at the same time.
        express: lanes whose new tasks start at once: there is room for them all, and nothing goes before them.
        now: epoch seconds.
        aging: seconds of waiting that one step of priority is worth.
        lost: this node's row was gone, so that nothing was claimed.
        buried: the dead nodes whose tasks were taken over, and how many those were.
        promoted: how many tasks have come due.
        news: what other processes are to be told, beside of what this has done.
        rewritten: tasks that had ended are not what they were: revived, removed, or without their result.
    """

    def __init__(self, connection: Connection, node: str, now: float, aging: float, shard: str = SHARD) -> None:
        self.connection = connection
        self.node = node
        self.now = now
        self.express: frozenset[str] = frozenset()
        self.aging = aging
        self.in_company = shard != SHARD
        self.tally = Tally(shard, now)
        self.submitted: list[tuple[NewTask, Receipt]] = []
        self.claimed: list[Claimed] = []
        self.settled: list[tuple[Change, Settled]] = []
        self.cancelled: list[Cancelled] = []
        self.expired: list[Expired] = []
        self.recovered: list[Recovered] = []
        self.buried: dict[str, int] = {}
        self.revived: list[Revived] = []
        self.progress: list[Word] = []
        self.promoted = 0
        self.news = News()
        self.rewritten = False
        self.lost = False
        self.alone_waits = False
        self.paused: frozenset[tuple[str, str]] | None = None

    def next_due(self) -> float | None:
        """When the first of the tasks that this transaction put off comes due or expires, in epoch seconds."""
        due = [new.due_at for new, _ in self.submitted if new.rank is None]
        due += [new.expires_at for new, _ in self.submitted if new.expires_at is not None]
        due += [change.due_at for change, _ in self.settled if change.due_at is not None]
        return min(due, default=None)


class Write(Ask[Any]):
    """What Storage applies inside of a transaction. `place` is its turn there: settles, submits, steering."""

    place: ClassVar[int] = 2

    def stirs(self) -> Collection[str] | None:
        """The lanes in which something may be claimable after it; None: any."""
        return ()

    def locks(self) -> Iterable[tuple[str, int]]:
        """The seqs of running attempts that it writes to, and in which of its statements."""
        return ()

    def parts(self) -> Sequence[Write]:
        """What it can be stored as, one by one, after it has failed as a whole."""
        return (self,)

    def instead(self, error: Exception) -> Write | None:
        """What to store in its place if *error* blames its values; None: nothing, and the asker hears of it."""
        return None

    @classmethod
    def apply_all(cls, writes: Sequence[Self], transaction: Transaction) -> list[Any]:
        """Apply *writes* of this class in their order; what comes often does so in one statement."""
        return [write.apply(transaction) for write in writes]

    def apply(self, transaction: Transaction) -> Any:
        """Do it; the value is the answer after the commit."""
        raise NotImplementedError


def run(transaction: Transaction, writes: Sequence[Write], rooms: Sequence[claim.Room], *, idle: bool) -> list[Any]:
    """Apply *writes*, then the parked claim for *rooms*; the answers of the writes."""
    if transaction.in_company:
        _lock_in_order(transaction.connection, writes)
    answers: list[Any] = []
    for _, group in itertools.groupby(writes, type):
        alike = list(group)
        answers += alike[0].apply_all(alike, transaction)
    transaction.claimed.sort(key=lambda task: (rank(task.due_at, task.priority, transaction.aging), task.seq))
    if rooms:
        rooms = [room.less(transaction.claimed) for room in rooms]
        claimed = claim.claim(
            transaction.connection, rooms, transaction.node, transaction.now, transaction.aging, transaction.tally,
            idle=idle,
        )  # fmt: skip
        transaction.claimed += claimed.tasks
        transaction.alone_waits = claimed.alone_waits
    transaction.tally.store(transaction.connection)
    return answers


def _lock_in_order(connection: Connection, writes: Sequence[Write]) -> None:
    """Lock the rows of attempts first, if more than one statement writes to them; each alone goes in their order."""
    locks = [lock for write in writes for lock in write.locks()]
    if len({statement for statement, _ in locks}) > 1:
        tasks.lock(connection, {seq for _, seq in locks})


def give_back(
    begin: Callable[[Connection], Transaction], held: frozenset[tuple[int, int]], connection: Connection
) -> None:
    """Return what is leased to this node and not among *held*, (seq, attempt)."""
    transaction = begin(connection)
    orphans = [pair for pair in leases.held_by(connection, transaction.node) if pair not in held]
    leases.give_back(connection, orphans, transaction.now, transaction.aging, transaction.tally)
    transaction.tally.store(connection)


def outside(node: str, connection: Connection) -> tuple[list[tuple[int, int]], frozenset[tuple[str, str]]]:
    """What other processes may have written: (seq, attempt) of *node*'s tasks that are to be cancelled; the pauses."""
    return steer.cancels_requested(connection, node), steer.pauses(connection)

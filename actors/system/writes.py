"""What Storage is asked to write. Each says how it is applied inside of a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import ClassVar

import attrs

from ..core.lifecycle import Transition
from ..core.news import News
from ..core.outcome import Change, without_outcome
from ..core.request import NewTask, Receipt
from ..core.task import TaskStatus
from ..store import claim, cleanup, leases, nodes, revive, settle, steer, tasks
from . import recorder
from .board import Word
from .transaction import Transaction, Write
from .vigil import Dead


@attrs.frozen
class Settle(Write):
    """Store what attempts came to; answers nothing of interest: the lease's end is the confirmation."""

    place: ClassVar[int] = 0
    changes: Sequence[Change]

    def stirs(self) -> Collection[str] | None:
        if any(change.transition is Transition.GIVE_BACK for change in self.changes):
            return None
        return {row.lane for change in self.changes for row in change.children if row.rank is not None}

    def locks(self) -> Iterable[tuple[str, int]]:
        return ((change.transition.value, change.seq) for change in self.changes)

    def parts(self) -> Sequence[Write]:
        return (self,) if len(self.changes) == 1 else [Settle([change]) for change in self.changes]

    def instead(self, error: Exception) -> Write | None:
        """The end without what came with it: a task whose outcome no database takes must not run for ever."""
        plain = without_outcome(self.changes[0], error)
        return None if plain is None else Settle([plain])

    @classmethod
    def apply_all(cls, writes: Sequence[Settle], transaction: Transaction) -> list[None]:
        changes = [change for write in writes for change in write.changes]
        results = settle.settle(transaction.connection, changes, transaction.node, transaction.aging, transaction.tally)
        transaction.settled += zip(changes, results, strict=True)
        _store_children(changes, results, transaction)
        return [None] * len(writes)


def _store_children(changes: Sequence[Change], results: Sequence[settle.Settled], transaction: Transaction) -> None:
    """Insert what the handlers of *changes* submitted, but for those whose outcome was not stored, or is not new."""
    rows = [
        row
        for change, result in zip(changes, results, strict=True)
        if change.children and result is settle.Settled.STORED
        for row in change.children
    ]
    if rows:
        transaction.submitted += zip(rows, tasks.submit(transaction.connection, rows, transaction.tally), strict=True)


@attrs.frozen
class Submit(Write):
    """Store new tasks, all or none; answers `list[Receipt]` in their order."""

    place: ClassVar[int] = 1
    rows: Sequence[NewTask]

    @property
    def only_due(self) -> bool:
        """Whether all of it can start at once, however long the commit takes."""
        return all(row.rank is not None and row.expires_at is None for row in self.rows)

    def stirs(self) -> Collection[str] | None:
        return {row.lane for row in self.rows if row.rank is not None}

    def may_start(self, lanes: frozenset[str]) -> bool:
        """Whether all of it can start at once, in these *lanes*."""
        return bool(lanes) and self.only_due and all(row.lane in lanes for row in self.rows)

    @classmethod
    def apply_all(cls, writes: Sequence[Submit], transaction: Transaction) -> list[list[Receipt]]:
        quick = [write.may_start(transaction.express) for write in writes]
        started = _store(writes, quick, True, transaction)
        waiting = _store(writes, quick, False, transaction)
        return [next(started if fast else waiting) for fast in quick]


def _store(
    writes: Sequence[Submit], quick: Sequence[bool], chosen: bool, transaction: Transaction
) -> Iterator[list[Receipt]]:
    """Insert the rows of those *writes* that are *chosen*, in one statement; the receipts of each."""
    parts = [write.rows for write, fast in zip(writes, quick, strict=True) if fast is chosen]
    rows = [row for part in parts for row in part]
    if chosen and rows:
        receipts, claimed = tasks.start(
            transaction.connection, rows, transaction.node, transaction.now, transaction.tally
        )
        transaction.claimed += claimed
    else:
        receipts = tasks.submit(transaction.connection, rows, transaction.tally) if rows else []
    transaction.submitted += zip(rows, receipts, strict=True)
    left = iter(receipts)
    return iter([[next(left) for _ in part] for part in parts])


@attrs.frozen
class Cancel(Write):
    """Cancel tasks; answers `list[steer.Cancelled]`, without the unknown ones."""

    task_ids: Sequence[str]

    @classmethod
    def apply_all(cls, writes: Sequence[Cancel], transaction: Transaction) -> list[list[steer.Cancelled]]:
        task_ids = [task_id for write in writes for task_id in write.task_ids]
        found = steer.cancel(transaction.connection, task_ids, transaction.now, transaction.tally)
        transaction.cancelled += found
        known = {cancelled.task_id: cancelled for cancelled in found}
        return [[known[task_id] for task_id in write.task_ids if task_id in known] for write in writes]


@attrs.frozen
class Revive(Write):
    """Make ended tasks due again; answers `list[revive.Revived]`, without the unknown ones.

    Attributes:
        nonce: drawn once, so that a repetition recognises what it has done before.
        states: tasks in others are left as they are.
    """

    task_ids: Sequence[str]
    nonce: int
    states: Collection[TaskStatus] = revive.REVIVABLE

    def stirs(self) -> Collection[str] | None:
        return None

    def apply(self, transaction: Transaction) -> list[revive.Revived]:
        found = revive.revive(
            transaction.connection, self.task_ids, self.nonce, transaction.now, transaction.aging, transaction.tally,
            self.states,
        )  # fmt: skip
        done = [revived for revived in found if revived.result is revive.Revival.DONE]
        transaction.revived += done
        transaction.rewritten |= bool(done)
        return found


@attrs.frozen
class Pause(Write):
    """Pause (or let go on) a lane or a task type: *kind* is "lane" or "task_type"."""

    kind: str
    name: str
    on: bool

    def stirs(self) -> Collection[str] | None:
        return None

    def apply(self, transaction: Transaction) -> None:
        if self.on:
            steer.set_pause(transaction.connection, self.kind, self.name, transaction.now)
        else:
            steer.end_pause(transaction.connection, self.kind, self.name)
        transaction.paused = steer.pauses(transaction.connection)


@attrs.frozen
class Promote(Write):
    """Make every due task ready and end every expired one; answers when the next one is due, or None."""

    most: int = 1000

    def stirs(self) -> Collection[str] | None:
        return None

    def apply(self, transaction: Transaction) -> float | None:
        transaction.expired += steer.expire(transaction.connection, transaction.now, transaction.tally, self.most)
        transaction.promoted += claim.promote(transaction.connection, transaction.now, transaction.aging, self.most)
        return claim.next_due(transaction.connection)


@attrs.frozen
class TakeOver(Write):
    """Take back what dead nodes ran; those that another node buries, or that live after all, are left alone."""

    dead: Sequence[Dead]

    def stirs(self) -> Collection[str] | None:
        return None

    def apply(self, transaction: Transaction) -> None:
        connection, now, aging = transaction.connection, transaction.now, transaction.aging
        for one in self.dead:
            if nodes.bury(connection, one.node, one.heartbeat_at):
                started = recorder.take(one.node) if one.crashed else ()
                found = leases.recover(connection, started, now, aging, transaction.tally, one.node)
                transaction.recovered += found
                transaction.buried[one.node] = len(found)


@attrs.frozen
class Tell(Write):
    """Tell other processes of *news*."""

    news: News

    def apply(self, transaction: Transaction) -> None:
        transaction.news = transaction.news.merged(self.news)


@attrs.frozen
class Delete(Write):
    """Delete ended tasks; answers `list[cleanup.Removed]`, also of those that had not ended, without the unknown."""

    task_ids: Sequence[str]

    def apply(self, transaction: Transaction) -> list[cleanup.Removed]:
        found = cleanup.remove(transaction.connection, self.task_ids, transaction.tally)
        transaction.rewritten |= bool(found)
        return found


@attrs.frozen
class SetProgress(Write):
    """Store what running attempts said of themselves."""

    place: ClassVar[int] = -1  # before the settles: the last word of an attempt comes with its outcome
    words: Sequence[Word]

    def locks(self) -> Iterable[tuple[str, int]]:
        return (("progress", word.seq) for word in self.words)

    def apply(self, transaction: Transaction) -> None:
        rows = sorted((word.seq, word.attempt, word.text) for word in self.words)
        tasks.set_progress(transaction.connection, rows)
        transaction.progress += self.words

"""Housekeeping: what is written because time has passed, and by which of the nodes."""

from __future__ import annotations

from typing import Any

import attrs

from ..store import cleanup, rollups
from .transaction import Transaction, Write


@attrs.frozen
class Cleanup(Write):
    """Delete a batch of old ended tasks; answers how many there were."""

    completed_before: float
    failed_before: float

    def apply(self, transaction: Transaction) -> int:
        before = self.completed_before, self.failed_before
        removed = cleanup.cleanup(transaction.connection, *before, transaction.tally)
        transaction.rewritten |= bool(removed)
        return removed


@attrs.frozen
class RemoveResults(Write):
    """Put notes in the place of a batch of large results of old tasks; answers how many there were."""

    completed_before: float

    def apply(self, transaction: Transaction) -> int:
        removed = cleanup.remove_results(transaction.connection, self.completed_before, transaction.now)
        transaction.rewritten |= bool(removed)
        return removed


@attrs.frozen
class Fold(Write):
    """Gather the minutes of one old hour of the counters; answers how many rows there were."""

    def apply(self, transaction: Transaction) -> int:
        return rollups.fold(transaction.connection, transaction.now)


@attrs.frozen
class Lead(Write):
    """Do *work* if no other node is at housekeeping now; answers what *work* does, or 0: it is left to that node.

    The lead ends with the transaction, however that ends, so that nobody has to be told dead before another may lead.
    Two that did lead at once would do no harm: they skip what is locked, and find nothing twice.
    """

    work: Cleanup | RemoveResults | Fold

    def apply(self, transaction: Transaction) -> Any:
        return self.work.apply(transaction) if cleanup.lead(transaction.connection) else 0


@attrs.frozen
class ResetCounters(Write):
    """Forget a part of what the counters say of the past; answers whether there is more."""

    def apply(self, transaction: Transaction) -> bool:
        return rollups.reset(transaction.connection, transaction.now)

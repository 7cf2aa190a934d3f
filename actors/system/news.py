"""What a transaction is to tell other processes of: nothing, mostly."""

from __future__ import annotations

from collections.abc import Callable

from ..core.lifecycle import Transition
from ..core.news import ANY, ENDS, ROWS, WORK, News, tail
from ..store.settle import Settled
from .transaction import Transaction

_GOES_ON = frozenset({Transition.RETRY, Transition.SNOOZE, Transition.GIVE_BACK})


def news_of(transaction: Transaction, by: str, wanted: Callable[[str], bool], *, working: bool) -> News:
    """The news in what *transaction* has done, as far as *wanted* says that others care about their subject.

    What people do to tasks is rare, and told in any case.

    Args:
        working: whether this node sees itself to what comes due later.
    """
    stopped = [found.running[2] for found in transaction.cancelled if found.running is not None]
    news = News(
        by=by,
        work=_left(transaction) if wanted(WORK) else (),
        due=None if working else transaction.next_due(),
        cancelled=[node for node in stopped if node != transaction.node],
        paused=transaction.paused is not None,
        tasks=_steered(transaction) | _changed(transaction, ends=wanted(ENDS), rows=wanted(ROWS)),
    )
    return news.merged(transaction.news)


def _left(transaction: Transaction) -> set[str]:
    """The lanes in which there is something that this node has not claimed itself."""
    claimed = {task.task_id for task in transaction.claimed}
    new = {row.task_id: row for row, receipt in transaction.submitted if receipt.created and row.rank is not None}
    put_back = any(change.transition is Transition.GIVE_BACK for change, _ in transaction.settled)
    if put_back or transaction.recovered or transaction.revived or transaction.promoted > len(claimed - new.keys()):
        return {ANY}
    return {row.lane for task_id, row in new.items() if task_id not in claimed}


def _steered(transaction: Transaction) -> set[str]:
    if transaction.rewritten and not transaction.revived:
        return {ANY}  # what was removed has left no name
    steered = {tail(cancelled.task_id) for cancelled in transaction.cancelled if cancelled.taken}
    return steered | {tail(revived.task_id) for revived in transaction.revived}


def _changed(transaction: Transaction, *, ends: bool, rows: bool) -> set[str]:
    """The tasks that have ended, or with *rows* those of which anything else has changed as well."""
    if not ends and not rows:
        return set()
    changed = {tail(expired.task_id) for expired in transaction.expired}
    changed.update(tail(found.task_id) for found in transaction.recovered)
    for change, result in transaction.settled:
        if rows or change.transition not in _GOES_ON or result is Settled.CANCELLED:
            changed.add(tail(change.task_id))
    if rows:
        changed.update(tail(task.task_id) for task in transaction.claimed)
        changed.update(tail(word.task_id) for word in transaction.progress)
    return changed

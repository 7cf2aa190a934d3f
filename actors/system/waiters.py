"""Who waits for the end of which task. Most ends are heard of at the commit; the others are looked up, all at once."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from ..core.errors import TaskNotFound
from ..core.news import News
from ..core.stored import error_text
from ..core.task import TaskStatus
from ..kernel import Ask
from ..store.connection import Connection
from ..store.settle import Settled
from ..store.views import Ended, ended_among, known_among
from .database import Database
from .transaction import Transaction

REMEMBERED: Final = 512
LONGEST_REMEMBERED: Final = 4096
LOOKED_UP_AT_ONCE: Final = 1000
"""Tasks in one query: a few milliseconds of the reader's time, which others' reads wait for."""

_ELSEWHERE: Final = (Settled.FENCED, Settled.STORED_BEFORE)
"""What says that a task has ended, perhaps as cancelled, or by another node's hand."""
_ENDS: Final = {
    "complete": TaskStatus.COMPLETED.value,
    "fail": TaskStatus.FAILED.value,
    "time_out": TaskStatus.TIMEOUT.value,
    "cancel": TaskStatus.CANCELLED.value,
}


class Waiters:
    """Those who wait for the end of a task. Storage answers them; they outlive its crashes."""

    def __init__(self) -> None:
        self._waits: dict[str, list[Ask[Ended]]] = {}
        self._closed: Exception | None = None
        self._to_look_up: dict[str, None] = {}  # the newest last, and the first to be looked up
        self._looking = False
        self._claimed: set[str] = set()  # they run here, so that their end will be heard of
        self._recent: OrderedDict[str, Ended] = OrderedDict()

    async def wait(self, task_id: str, look: Callable[[], object]) -> Ended:
        """The end of a task.

        Args:
            look: called if the task has to be looked up, since it does not run here.

        Raises:
            TaskNotFound: it is not stored.
            NotRunning: the task system stops, and the task has not ended.
        """
        wait: Ask[Ended] = Ask()
        self.add(task_id, wait, look)
        try:
            return await wait.reply.wait()
        finally:
            self.remove(task_id, wait)

    def add(self, task_id: str, wait: Ask[Ended], look: Callable[[], object], *, known: bool = False) -> None:
        """Have *wait* answered at the end of a task; *known* if it was just stored, and need not be looked up."""
        if (ended := self._recent.get(task_id)) is not None:
            wait.answer(ended)
        elif self._closed is not None:
            wait.fail(self._closed)
        else:
            self._waits.setdefault(task_id, []).append(wait)
            if task_id not in self._claimed and not known:
                self._to_look_up[task_id] = None
                look()

    def remove(self, task_id: str, wait: Ask[Ended]) -> None:
        """Wait no more."""
        others = [other for other in self._waits.pop(task_id, []) if other is not wait]
        if others:
            self._waits[task_id] = others

    @property
    def any_wait(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waits)

    def close(self, error: Exception) -> None:
        """Tell everyone who waits, now or later, that no end will be heard of any more."""
        self._closed = error
        waits, self._waits = self._waits, {}
        for wait in itertools.chain.from_iterable(waits.values()):
            wait.fail(error)

    def look_at_all(self) -> None:
        """Look everything up at the next occasion: another process has written, and may have revived what ended."""
        self._to_look_up.update(dict.fromkeys(self._waits))
        self._recent.clear()

    def look_at(self, news: News) -> None:
        """The same, of the tasks that *news* tell of."""
        self._to_look_up.update(dict.fromkeys(filter(news.concerns, self._waits)))
        for task_id in [*filter(news.concerns, self._recent)]:
            del self._recent[task_id]

    def committed(self, transaction: Transaction) -> None:
        """Answer those whose tasks the transaction has ended."""
        self._claimed.update(task.task_id for task in transaction.claimed)
        for change, result in transaction.settled:
            self._claimed.discard(change.task_id)
            status = "cancelled" if result is Settled.CANCELLED else _ENDS.get(change.transition.value)
            elsewhere = result in _ELSEWHERE
            if elsewhere and change.task_id in self._waits:
                self._to_look_up[change.task_id] = None
            if status is None or elsewhere:
                continue
            if change.task_id in self._waits or (change.result is None or len(change.result) <= LONGEST_REMEMBERED):
                error = None if change.error is None else error_text(change.error)
                self._end(Ended(change.task_id, change.task_type, status, change.attempt, change.result, error))
        for cancelled in transaction.cancelled:
            if cancelled.taken and cancelled.running is None:
                self._end(Ended(cancelled.task_id, cancelled.task_type, "cancelled", cancelled.attempt, None, None))
        for expired in transaction.expired:
            text = error_text(expired.error)
            self._end(Ended(expired.task_id, expired.task_type, "timeout", expired.attempt, None, text))
        for found in transaction.recovered:
            if found.status.ended:
                error = None if found.error is None else error_text(found.error)
                self._end(Ended(found.task_id, found.task_type, found.status.value, found.attempt, None, error))
        if transaction.rewritten:
            self._recent.clear()

    def look_up(self, database: Database) -> None:
        """Ask the reader for the ends that may have been missed, one part after the other.

        There is one query at a time: however many wait, and however often others write, no queue grows at the reader.
        """
        while not self._looking and (wanted := self._next_to_look_up()):
            ask: Ask[tuple[list[Ended], set[str]]] = Ask()
            database.read(ask, partial(_ends, task_ids=list(wanted)))
            self._looking = not ask.answered
            if self._looking:
                ask.reply.then(partial(self._looked_up, ask, wanted, database))
            elif not self._heard(ask, wanted):
                return

    def _next_to_look_up(self) -> dict[str, list[Ask[Ended]]]:
        """Some tasks and who waits for them now: who comes later may come after a revival, and means the next end."""
        wanted: dict[str, list[Ask[Ended]]] = {}
        while self._to_look_up and len(wanted) < LOOKED_UP_AT_ONCE:
            task_id, _ = self._to_look_up.popitem()
            if task_id in self._waits:
                wanted[task_id] = [*self._waits[task_id]]
        return wanted

    def _looked_up(
        self,
        ask: Ask[tuple[list[Ended], set[str]]],
        wanted: Mapping[str, list[Ask[Ended]]],
        database: Database,
    ) -> None:
        self._looking = False
        if self._heard(ask, wanted):
            self.look_up(database)

    def _heard(self, ask: Ask[tuple[list[Ended], set[str]]], wanted: Mapping[str, list[Ask[Ended]]]) -> bool:
        """Answer those who wait; False if the query failed."""
        try:
            found, known = ask.reply.result()
        except Exception:
            self._to_look_up.update(dict.fromkeys(wanted))  # the next batch, or word from outside, brings them up again
            return False
        for ended in found:
            for wait in wanted[ended.task_id]:
                wait.answer(ended)
            self._drop_answered(ended.task_id)
        for task_id in wanted.keys() - known:
            for wait in wanted[task_id]:
                wait.fail(TaskNotFound.of(task_id))
            self._drop_answered(task_id)
        return True

    def _drop_answered(self, task_id: str) -> None:
        if left := [wait for wait in self._waits.pop(task_id, ()) if not wait.answered]:
            self._waits[task_id] = left

    def _end(self, ended: Ended) -> None:
        self._answer(ended)
        if ended.result is None or len(ended.result) <= LONGEST_REMEMBERED:
            self._recent[ended.task_id] = ended
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)

    def _answer(self, ended: Ended) -> None:
        for wait in self._waits.pop(ended.task_id, []):
            wait.answer(ended)


def _ends(connection: Connection, task_ids: list[str]) -> tuple[list[Ended], set[str]]:
    ended = ended_among(connection, task_ids)
    missing = sorted(set(task_ids) - {found.task_id for found in ended})
    return ended, known_among(connection, missing) | {found.task_id for found in ended}

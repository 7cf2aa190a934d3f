"""Who waits for the end of which task. Most ends are heard of at the commit; the others are looked up, all at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import Final

from ..core.errors import TaskNotFound
from ..core.stored import error_text
from ..core.task import TaskStatus
from ..kernel import Ask
from ..store.connection import Connection
from ..store.settle import Settled
from ..store.views import Ended, ended_among, known_among
from .database import Database
from .messages import Wait
from .transaction import Transaction

REMEMBERED: Final = 512
LONGEST_REMEMBERED: Final = 4096

_ENDS: Final = {
    "complete": TaskStatus.COMPLETED.value,
    "fail": TaskStatus.FAILED.value,
    "time_out": TaskStatus.TIMEOUT.value,
    "cancel": TaskStatus.CANCELLED.value,
}


class Waiters:
    """The asks of those who wait; shared with no one but Storage, whose crashes it outlives."""

    def __init__(self) -> None:
        self._waits: dict[str, list[Wait]] = {}
        self._to_look_up: set[str] = set()
        self._claimed: set[str] = set()  # they run here, so that their end will be heard of
        self._recent: OrderedDict[str, Ended] = OrderedDict()

    def add(self, wait: Wait) -> None:
        """Answer *wait* when its task has ended."""
        if (ended := self._recent.get(wait.task_id)) is not None:
            wait.answer(ended)
            return
        self._waits.setdefault(wait.task_id, []).append(wait)
        if wait.task_id not in self._claimed:
            self._to_look_up.add(wait.task_id)

    def remove(self, wait: Wait) -> None:
        """Nobody waits for *wait* any longer."""
        others = [other for other in self._waits.pop(wait.task_id, []) if other is not wait]
        if others:
            self._waits[wait.task_id] = others

    def look_at_all(self) -> None:
        """Look everything up at the next occasion: another process has written."""
        self._to_look_up.update(self._waits)

    def committed(self, transaction: Transaction) -> None:
        """Answer those whose tasks the transaction has ended."""
        self._claimed.update(task.task_id for task in transaction.claimed)
        for change, result in transaction.settled:
            self._claimed.discard(change.task_id)
            status = "cancelled" if result is Settled.CANCELLED else _ENDS.get(change.transition.value)
            if status is None or result is Settled.FENCED:
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

    def look_up(self, database: Database) -> None:
        """Ask the reader for the ends that may have been missed."""
        if self._to_look_up:
            wanted, self._to_look_up = sorted(self._to_look_up & self._waits.keys()), set()
            if wanted:
                ask: Ask[tuple[list[Ended], set[str]]] = Ask()
                ask.reply.then(partial(self._looked_up, ask, wanted))
                database.read(ask, partial(_ends, task_ids=wanted))

    def _looked_up(self, ask: Ask[tuple[list[Ended], set[str]]], wanted: Iterable[str]) -> None:
        try:
            found, known = ask.reply.result()
        except Exception:
            self._to_look_up.update(wanted)  # the next batch, or the next word from outside, brings them up again
            return
        for ended in found:
            self._answer(ended)
        for task_id in set(wanted) - known:
            for wait in self._waits.pop(task_id, []):
                wait.fail(TaskNotFound.of(task_id))

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

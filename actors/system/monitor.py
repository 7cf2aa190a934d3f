"""Monitor: counts, events, progress, and the housekeeping of what is old."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import trio

from ..core.errors import StorageUnavailable
from ..core.events import TaskEvent, TaskEventType
from ..core.retention import Retention
from ..core.task import moment
from ..execution.attempt import Attempt
from ..kernel import Actor, ActorCrashed, Handle
from .board import Board
from .clock import Clock
from .happenings import events_of
from .messages import Committed, LookAtProgress, MonitorMessage, SoftTimedOut, StorageMessage, Stuck
from .subscribers import Subscribers
from .writes import Cleanup, Fold, RemoveResults, SetProgress

logger = logging.getLogger("actors.system")

PROGRESS_EVERY: Final = 0.2
CLEAN_EVERY: Final = 3600.0
CLEAN_FIRST_AFTER: Final = 60.0
CLEAN_BATCH: Final = 500


class Monitor(Actor[MonitorMessage]):
    """Tells subscribers what was committed; stores progress; cleans up once an hour."""

    def __init__(
        self,
        clock: Clock,
        subscribers: Subscribers,
        board: Board,
        retention: Retention,
        storage: Handle[StorageMessage],
        me: Handle[MonitorMessage],
    ) -> None:
        self._clock = clock
        self._subscribers = subscribers
        self._board = board
        self._retention = retention
        self._storage = storage
        self._me = me
        self._store_progress_at = float("inf")
        self._stored_progress_at = float("-inf")
        self._clean_at = trio.current_time() + CLEAN_FIRST_AFTER

    async def started(self) -> None:
        self._board.look = lambda: self._me.hint(LookAtProgress())
        self._look_at_progress()

    async def receive(self, batch: Sequence[MonitorMessage]) -> None:
        for message in batch:
            match message:
                case Committed(transaction):
                    for event in events_of(transaction):
                        self._subscribers.publish(event)
                case LookAtProgress():
                    pass  # every batch looks at the board
                case SoftTimedOut(attempt):
                    self._tell(TaskEventType.SOFT_TIMEOUT, attempt)
                case Stuck(attempt):
                    logger.warning("%r runs on though it was stopped; what it returns will be dropped", attempt)
                    self._tell(TaskEventType.STUCK, attempt)
        if self._board:  # every batch looks: a hint is dropped when the mailbox is full
            self._look_at_progress()

    def wake_at(self) -> float:
        return min(self._store_progress_at, self._clean_at)

    async def wake(self) -> None:
        now = trio.current_time()
        if now >= self._store_progress_at:
            await self._store_progress()
        if now >= self._clean_at:
            await self._clean()

    async def stopped(self) -> None:
        await self._store_progress()
        self._subscribers.close()

    def _look_at_progress(self) -> None:
        self._store_progress_at = max(trio.current_time(), self._stored_progress_at + PROGRESS_EVERY)

    async def _store_progress(self) -> None:
        self._store_progress_at, self._stored_progress_at = float("inf"), trio.current_time()
        words = self._board.take()
        if words:
            await self._storage.tell(SetProgress(words))

    async def _clean(self) -> None:
        """A batch of old tasks, one of large results, an old hour of the counters; the next at once while there are."""
        now, kept = self._clock.wall(), self._retention
        try:
            removed = await self._storage.ask(Cleanup(now - kept.completed, now - kept.failed))
            shortened = await self._storage.ask(RemoveResults(now - kept.large_results))
            folded = await self._storage.ask(Fold())
        except (ActorCrashed, StorageUnavailable):
            removed = shortened = folded = 0
        more = removed >= CLEAN_BATCH or shortened or folded
        self._clean_at = trio.current_time() + (0.0 if more else CLEAN_EVERY)

    def _tell(self, kind: TaskEventType, attempt: Attempt) -> None:
        task = attempt.task
        self._subscribers.publish(
            TaskEvent(kind, task.task_id, task.task_type, task.attempt, moment(self._clock.wall()))
        )

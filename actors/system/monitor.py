"""Monitor: counts, events, progress, and the housekeeping of what is old."""

from __future__ import annotations

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
from .housekeeping import Cleanup, Fold, Lead, RemoveResults
from .memory import MemoryWatch
from .messages import Committed, LookAtProgress, LookAtReplies, MonitorMessage, SoftTimedOut, StorageMessage, Stuck
from .replies import Replies
from .subscribers import Subscribers
from .writes import SetProgress

PROGRESS_EVERY: Final = 0.2
REPLY_EVERY: Final = 0.05
"""Seconds after which channels that had no room for their last event are tried again, some in each turn."""
REPLY_SOON: Final = 0.001
"""The same while such a channel is being read: it may have more events to come than room for them."""
CLEAN_EVERY: Final = 3600.0
CLEAN_FIRST_AFTER: Final = 60.0
CLEAN_BATCH: Final = 500


class Monitor(Actor[MonitorMessage]):
    """Tells subscribers what was committed; stores progress; watches the memory; cleans up once an hour."""

    def __init__(
        self,
        clock: Clock,
        subscribers: Subscribers,
        replies: Replies,
        board: Board,
        retention: Retention,
        storage: Handle[StorageMessage],
        me: Handle[MonitorMessage],
        memory: MemoryWatch | None = None,
    ) -> None:
        self._clock = clock
        self._subscribers = subscribers
        self._replies = replies
        self._board = board
        self._retention = retention
        self._storage = storage
        self._me = me
        self._memory = memory
        self._store_progress_at = float("inf")
        self._stored_progress_at = float("-inf")
        self._clean_at = trio.current_time() + CLEAN_FIRST_AFTER
        self._reply_at = float("inf")

    async def started(self) -> None:
        self._replies.look = lambda: self._me.hint(LookAtReplies())
        self._reply()
        self._board.look = lambda: self._me.hint(LookAtProgress())
        self._look_at_progress()

    async def receive(self, batch: Sequence[MonitorMessage]) -> None:
        for message in batch:
            match message:
                case Committed(transaction):
                    for event in events_of(transaction):
                        self._publish(event)
                case LookAtProgress() | LookAtReplies():
                    pass  # every batch looks at the board, and at what is owed
                case SoftTimedOut(attempt):
                    self._tell(TaskEventType.SOFT_TIMEOUT, attempt)
                case Stuck(attempt):
                    self._tell(TaskEventType.STUCK, attempt)
        if self._board:  # every batch looks: a hint is dropped when the mailbox is full
            self._look_at_progress()
        self._reply()  # after the batch's events: the end of a task is the last that is told of it

    def wake_at(self) -> float:
        memory_at = float("inf") if self._memory is None else self._memory.due
        return min(self._store_progress_at, self._clean_at, self._reply_at, memory_at)

    async def wake(self) -> None:
        now = trio.current_time()
        if now >= self._store_progress_at:
            await self._store_progress()
        if now >= self._reply_at:
            took = self._replies.try_again()
            self._reply_at = now + (REPLY_SOON if took else REPLY_EVERY)
            self._reply()
        if self._memory is not None and now >= self._memory.due:
            await self._memory.look()
        if now >= self._clean_at:
            await self._clean()

    async def stopped(self) -> None:
        await self._store_progress()
        self._replies.give()
        self._replies.try_again(None)
        self._subscribers.close()

    def _publish(self, event: TaskEvent) -> None:
        self._subscribers.publish(event)
        self._replies.offer(event)

    def _reply(self) -> None:
        self._replies.give()
        soon = trio.current_time() + REPLY_EVERY
        self._reply_at = min(self._reply_at, soon) if self._replies.waiting else float("inf")

    def _look_at_progress(self) -> None:
        self._store_progress_at = max(trio.current_time(), self._stored_progress_at + PROGRESS_EVERY)

    async def _store_progress(self) -> None:
        self._store_progress_at, self._stored_progress_at = float("inf"), trio.current_time()
        words = self._board.take()
        if words:
            await self._storage.tell(SetProgress(words))

    async def _clean(self) -> None:
        """A batch of old tasks, one of large results, an old hour of the counters; the next at once while there are.

        Every node comes here once an hour. Who finds another one at it has nothing more to do.
        """
        now, kept = self._clock.wall(), self._retention
        try:
            removed = await self._storage.ask(Lead(Cleanup(now - kept.completed, now - kept.failed)))
            shortened = await self._storage.ask(Lead(RemoveResults(now - kept.large_results)))
            folded = await self._storage.ask(Lead(Fold()))
        except (ActorCrashed, StorageUnavailable):
            removed = shortened = folded = 0
        more = removed >= CLEAN_BATCH or shortened or folded
        self._clean_at = trio.current_time() + (0.0 if more else CLEAN_EVERY)

    def _tell(self, kind: TaskEventType, attempt: Attempt) -> None:
        task = attempt.task
        self._publish(TaskEvent(kind, task.task_id, task.task_type, task.attempt, moment(self._clock.wall())))

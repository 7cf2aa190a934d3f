"""Who watches which task, wherever it runs: this node's events, and what other processes write in its row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import attrs
import trio

from ..core.events import FINAL, TaskEvent, TaskEventType
from ..core.news import News
from ..core.story import Sight, story
from ..core.task import moment
from ..kernel import Ask
from ..store.views import sights
from .database import Database

HERE_ALONE: Final = {TaskEventType.SOFT_TIMEOUT, TaskEventType.STUCK, TaskEventType.FENCED, TaskEventType.REJECTED}
"""Events that leave nothing in the row, so that they cannot be heard of twice."""


@attrs.define(eq=False)
class Watch:
    """One who watches a task. What was told of it is told once, whichever way it is heard of first.

    Attributes:
        sight: what the row showed last; None: it is not stored.
        begun: whether the row has been looked at.
        lost: events that it was too slow for.
    """

    sender: trio.MemorySendChannel[TaskEvent]
    task_id: str
    sight: Sight | None = None
    begun: bool = False
    lost: int = 0
    _told: set[tuple[TaskEventType, int]] = attrs.field(factory=set)
    _progress: Any = None
    _over: bool = False

    def begin(self, sight: Sight | None) -> None:
        """What comes after *sight* is told."""
        self.sight, self.begun = sight, True

    def see(self, now: Sight, at: float) -> None:
        """Tell what has happened since the last look; *at* is in epoch seconds."""
        if self.begun:
            before, self.sight = self.sight, now
            for event in story(before, now, moment(at)):
                self.offer(event)

    def offer(self, event: TaskEvent) -> None:
        """Tell of *event*, if it is one of this task that was not told before."""
        if event.task_id == self.task_id and self._is_new(event):
            try:
                self.sender.send_nowait(event)
            except trio.WouldBlock:
                self.lost += 1
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the receiver is closed, or all events have ended; its block will take this out

    def _is_new(self, event: TaskEvent) -> bool:
        kind, key = event.type, (event.type, event.attempt)
        if kind in HERE_ALONE:
            return True
        if kind is TaskEventType.PROGRESS:
            new = not self._over and event.data != self._progress
            self._progress = event.data
            return new
        if key in self._told or (self._over and kind is not TaskEventType.SUBMITTED):
            return False  # the second is on its way late, behind the end that the row has told of
        self._over = kind in FINAL
        if self._over or kind is TaskEventType.SUBMITTED:  # a new life: the same may happen again
            self._told.clear()
        self._told.add(key)
        return True


class Watches:
    """All who watch. Their rows are read together when another process has written."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._watches: list[Watch] = []
        self._wanted = False

    @contextmanager
    def keeping(self, watch: Watch) -> Iterator[None]:
        """Keep *watch* up to date while the block runs."""
        self._watches.append(watch)
        try:
            yield
        finally:
            self._watches.remove(watch)

    def look_at_all(self) -> None:
        """Look at the rows at the next occasion: another process has written."""
        self._wanted = True

    def look_at(self, news: News) -> None:
        """The same, if *news* tell of any of them."""
        self._wanted |= any(news.concerns(watch.task_id) for watch in self._watches)

    @property
    def any_watch(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watches)

    def look_up(self, database: Database) -> None:
        """Ask the reader for the rows, if there is need."""
        if self._wanted and self._watches:
            ask: Ask[list[Sight]] = Ask()
            ask.reply.then(partial(self._looked_up, ask))
            database.read(ask, partial(sights, task_ids=sorted({watch.task_id for watch in self._watches})))
        self._wanted = False

    def _looked_up(self, ask: Ask[list[Sight]]) -> None:
        try:
            found: Sequence[Sight] = ask.reply.result()
        except Exception:
            self._wanted = True  # the next batch, or the next word from outside, brings them up again
            return
        now = {sight.task_id: sight for sight in found}
        for watch in self._watches:
            if (sight := now.get(watch.task_id)) is not None:
                watch.see(sight, self._wall())

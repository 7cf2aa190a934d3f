"""A process among others that tell each other what is new: what it tells, what it hears, and what it wants to hear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import attrs
import trio

from ..core.news import ANY, ENDS, EVERYTHING, ROWS, SUBJECTS, WORK, News
from ..kernel import Handle
from ..store.connection import Connection
from ..store.notify import notify
from .listener import Listener
from .messages import LookAgain, LookForWork, LookOutside, LookUp, SchedulerMessage, StorageMessage
from .news import news_of
from .running import Running
from .transaction import Transaction
from .waiters import Waiters
from .watches import Watches
from .writes import Tell

LOOK_SECONDS: Final = 0.5
SOON_SECONDS: Final = 0.1
"""The same while there is no connection to listen on: there may be one at any moment."""
PROBE_SECONDS: Final = 2.0
"""From one word to itself, which tells the others too what it wants to hear, to the next."""
WANTED_SECONDS: Final = 6.0
"""For which such a word is good: one or two may be lost."""


class Wishes:
    """What others have said that they want to hear of, and until when that is good.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = dict.fromkeys(SUBJECTS, 0.0)

    def wanted(self, subject: str) -> bool:
        """Whether somebody wants to hear of it."""
        return self._monotonic() < self._until[subject]

    def take(self, subjects: Iterable[str]) -> frozenset[str]:
        """Note that somebody wants to hear of *subjects*; which of them nobody did before."""
        known = SUBJECTS.intersection(subjects)
        fresh = frozenset(subject for subject in known if not self.wanted(subject))
        self._until.update(dict.fromkeys(known, self._monotonic() + WANTED_SECONDS))
        return fresh


@attrs.frozen
class Ears:
    """Whom news are for.

    Attributes:
        scheduler: None on a node that does not work.
    """

    running: Running
    waiters: Waiters
    watches: Watches
    storage: Handle[StorageMessage]
    scheduler: Handle[SchedulerMessage] | None

    @property
    def wants(self) -> frozenset[str]:
        """The subjects that matter here now."""
        wants = {WORK: self.scheduler is not None, ENDS: self.waiters.any_wait, ROWS: self.watches.any_watch}
        return frozenset(subject for subject, wanted in wants.items() if wanted)


class Notices:
    """Tells other processes what is new, within the transaction that has done it; hears what they tell.

    Every NOTIFY holds up the server's commits a little. So it is sent only where somebody wants to hear of its subject,
    and has said so lately. Who does not hear what the others want takes it that they want everything.

    Args:
        node: by which name others call it.
        me: by which its own news are known.
        ears: one who wants to hear nothing needs no connection for it.
        monotonic: seconds.
    """

    def __init__(
        self, url: str, node: str, me: str, ears: Ears, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._node = node
        self._me = me
        self._ears = ears
        self._monotonic = monotonic
        self._wishes = Wishes(monotonic)
        self._listener = Listener(url, me, self._deliver, monotonic)
        self._token = trio.lowlevel.current_trio_token()
        self._announced: frozenset[str] = frozenset()
        self._probe_at = 0.0

    async def close(self) -> None:
        """Listen no more."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._listener.close)

    @property
    def are_heard(self) -> bool:
        """Whether what others tell comes in here, so that there is little need to look."""
        return self._listener.works

    # In the writer's thread

    def tell(self, transaction: Transaction) -> None:
        """Have others told of what is in *transaction* for them, when it commits."""
        news = news_of(transaction, self._me, self._wanted, working=self._ears.scheduler is not None)
        if news:
            notify(transaction.connection, news.text())

    def _wanted(self, subject: str) -> bool:
        return not self._listener.works or self._wishes.wanted(subject)

    def tick(self, connection: Connection) -> float:
        """Say again what is wanted, which has to be heard here too; seconds until the next time."""
        now, wants = self._monotonic(), self._ears.wants
        if wants:
            self._listener.start()
        if not self._listener.listens:
            self._probe_at = now
            return SOON_SECONDS if wants else LOOK_SECONDS
        if now >= self._probe_at:
            self._probe_at, self._announced = now + PROBE_SECONDS, wants
            self._listener.asked()
            notify(connection, News(self._me, wants=wants).text())
        return LOOK_SECONDS

    # In the event loop

    def announcement(self) -> Tell | None:
        """What has to be told before it is worth looking for anything: that this node waits for it now."""
        wants = self._ears.wants
        if wants <= self._announced:
            return None
        self._listener.start()
        self._announced = wants
        return Tell(News(self._me, wants=wants))

    def _deliver(self, news: News) -> None:
        """In the listener's thread."""
        if news is EVERYTHING:
            self._wishes.take(SUBJECTS)  # nobody knows who has asked for what meanwhile
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._heard, news)

    def _heard(self, news: News) -> None:
        ears = self._ears
        if news.tasks:
            ears.waiters.look_at(news)
            ears.watches.look_at(news)
        if news.paused or news.cancelled & {self._node, ANY}:
            ears.storage.hint(LookOutside())
        elif news.tasks:
            ears.storage.hint(LookUp())
        if ears.scheduler is not None:
            self._heard_of_work(news, ears.scheduler)
        self._answer(self._wishes.take(news.wants))

    def _heard_of_work(self, news: News, scheduler: Handle[SchedulerMessage]) -> None:
        lanes = news.work.intersection(self._ears.running.lanes)
        if ANY in news.work:
            self._ears.storage.hint(LookAgain())
        elif lanes:
            self._ears.storage.hint(LookAgain(lanes))
        if news.due is not None:
            scheduler.hint(LookForWork(news.due))

    def _answer(self, fresh: frozenset[str]) -> None:
        """Tell of what may have been done between their looking and the moment when they were heard."""
        tasks, work = {ANY} if fresh & {ENDS, ROWS} else (), {ANY} if WORK in fresh else ()
        if fresh and self._listener.works:
            self._ears.storage.hint(Tell(News(self._me, work=work, tasks=tasks)))

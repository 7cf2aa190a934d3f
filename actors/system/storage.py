"""Storage: every write of this node in one transaction a batch, and the claims parked until there is work."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs
import trio

from ..core.errors import NotRunning, StorageUnavailable
from ..kernel import Actor, Handle
from ..store import leases, steer
from ..store.connection import Connection
from ..store.faults import passing
from .clock import Clock
from .database import Database
from .messages import (
    CancelRunning,
    Claim,
    LookAgain,
    LookForWork,
    LookOutside,
    LookUp,
    Read,
    SchedulerMessage,
    StorageMessage,
    TimeoutMessage,
    Withdraw,
)
from .parking import Chances, Parking
from .running import LAST_WAIT, Running
from .transaction import Transaction, Write, run
from .waiters import Waiters
from .watches import Watches

logger = logging.getLogger("actors.system")

PATIENCE: Final = 10.0
"""Seconds for which a write that cannot be done now is tried again, before its asker hears of it."""
FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 1.0
STOPPED: Final = "the task system has stopped; the task goes on when it runs again"


@attrs.frozen
class Peers:
    """Whom Storage tells after a commit; none of it waits.

    Attributes:
        tell: counts what a transaction did, and hints the Monitor if anyone listens to events.
    """

    tell: Callable[[Transaction], object]
    timeout: Handle[TimeoutMessage]
    scheduler: Handle[SchedulerMessage]


class Storage(Actor[StorageMessage]):
    """The only one who writes. It asks no one.

    Args:
        working: whether this node claims tasks.
    """

    def __init__(
        self,
        database: Database,
        node: str,
        clock: Clock,
        aging: float,
        running: Running,
        peers: Peers,
        waiters: Waiters,
        watches: Watches,
        *,
        working: bool,
        patience: float = PATIENCE,
    ) -> None:
        self._database = database
        self._node = node
        self._clock = clock
        self._aging = aging
        self._running = running
        self._peers = peers
        self._waiters = waiters
        self._watches = watches
        self._working = working
        self._patience = patience
        self._parking = Parking()
        self._resumed = False  # what is paused has changed, so that there may be more to claim
        self._outside = False  # another process has written, and that was not looked at
        self._given_up: str | None = None  # why nothing is tried any more, past the end of a stop's time
        self._unsure = False  # a transaction failed so that it may have been committed all the same

    async def started(self) -> None:
        """Give back what an earlier life of this actor claimed, but did not live to hand out."""
        if self._working:
            await self._patiently(self._give_back_orphans)
        await self._patiently(self._look_outside)

    async def stopped(self) -> None:
        """No end will be heard of any more."""
        self._parking.withdraw()
        self._waiters.close(NotRunning(STOPPED))

    async def receive(self, batch: Sequence[StorageMessage]) -> None:
        writes: list[Write] = []
        for message in batch:
            match message:
                case Write():
                    writes.append(message)
                case Claim():
                    self._parking.park(message)
                case LookAgain():
                    self._parking.stir()
                case Read():
                    self._database.read(message, message.query)
                case LookUp():
                    pass  # every batch does
                case LookOutside():
                    self._outside = True
                case Withdraw():
                    self._parking.withdraw()
                    message.answer(None)
        if self._outside:
            await self._look_outside_if_possible()
        if writes or self._parking.chances(()):
            await self._store(writes)
        if self._resumed or (self._parking.suspect_waits and self._running.idle):
            self._resumed = False
            await self._store([])
        self._waiters.look_up(self._database)
        self._watches.look_up(self._database)

    async def _store(self, writes: list[Write]) -> None:
        writes.sort(key=lambda write: write.place)
        try:
            await self._commit(writes)
        except StorageUnavailable as error:  # the database is at fault: one by one, each would wait as long again
            for write in writes:
                self._refuse(write, error)
        except Exception as error:
            self._unsure = True
            if len(writes) == 1:
                self._refuse(writes[0], error)
                return
            logger.warning(
                "a transaction of %d messages failed; they are stored one by one", len(writes), exc_info=error
            )
            for write in writes:
                await self._store_alone(write)

    async def _store_alone(self, write: Write) -> None:
        try:
            await self._commit([write])
        except Exception as error:
            self._unsure = True
            self._refuse(write, error)

    def _refuse(self, write: Write, error: Exception) -> None:
        logger.error("%s was not stored", type(write).__name__, exc_info=error)
        write.fail(error)

    async def _commit(self, writes: Sequence[Write]) -> None:
        """One transaction.

        Raises:
            StorageUnavailable: its fault did not pass in time.
        """

        async def attempt() -> None:
            if self._unsure:
                await self._give_back_orphans()
            chances = self._parking.chances(writes)
            transaction, answers = await self._database.write(self._operation(writes, chances))
            self._committed(transaction, writes, answers, chances)

        await self._patiently(attempt)

    async def _patiently(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try again while the fault may pass; not for long when the system stops.

        Raises:
            StorageUnavailable: it did not pass in time.
        """
        if self._given_up is not None:
            raise unavailable(self._given_up, LAST_WAIT)
        begun, pause = trio.current_time(), FIRST_PAUSE
        while True:
            try:
                await attempt()
                return
            except Exception as error:
                reason = passing(error)
                if reason is None:
                    raise
                self._unsure = True
                if trio.current_time() >= self._give_up_at(begun):
                    self._given_up = reason if self._is_late else None
                    raise unavailable(reason, trio.current_time() - begun) from error
                logger.warning("the database does not answer: %s; tried again in %.2g s", reason, pause)
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _give_up_at(self, begun: float) -> float:
        give_up_at = begun + self._patience
        stop_at = self._running.stop_at
        return give_up_at if stop_at is None else min(give_up_at, stop_at + LAST_WAIT)

    @property
    def _is_late(self) -> bool:
        """Whether a stop has no time left for a database that does not answer."""
        stop_at = self._running.stop_at
        return stop_at is not None and trio.current_time() >= stop_at + LAST_WAIT

    def _operation(
        self, writes: Sequence[Write], chances: Chances
    ) -> Callable[[Connection], tuple[Transaction, list[Any]]]:
        now, idle = self._clock.wall(), self._running.idle

        def operation(connection: Connection) -> tuple[Transaction, list[Any]]:
            transaction = Transaction(connection, self._node, now, self._aging)
            transaction.express = chances.express
            return transaction, run(transaction, writes, chances.rooms, idle=idle)

        return operation

    def _committed(
        self, transaction: Transaction, writes: Sequence[Write], answers: list[Any], chances: Chances
    ) -> None:
        """Tell everyone: leases first, so that whoever wakes up finds them right."""
        for change, _ in transaction.settled:
            self._running.settle(change.seq, change.attempt)
        self._waiters.committed(transaction)
        for write, answer in zip(writes, answers, strict=True):
            write.answer(answer)
        if chances:
            self._running.take(transaction.claimed)
            self._parking.tried(chances, transaction)
        if transaction.paused is not None:
            self._running.paused, self._resumed = transaction.paused, True
            self._parking.stir()
        self._hint(transaction)

    def _hint(self, transaction: Transaction) -> None:
        self._peers.tell(transaction)
        running = [found.running for found in transaction.cancelled if found.running is not None]
        mine = [(seq, number) for seq, number, node in running if node == self._node]
        if mine:
            self._peers.timeout.hint(CancelRunning(mine))
        due = transaction.next_due()
        if due is not None:
            self._peers.scheduler.hint(LookForWork(due))

    async def _give_back_orphans(self) -> None:
        """Give back what is leased to this node in the database, and was never handed out."""
        held = frozenset(self._running.leased.items())
        await self._database.write(partial(_give_back, self._node, self._clock.wall(), self._aging, held))
        self._unsure = False
        self._parking.stir()
        self._waiters.look_at_all()

    async def _look_outside_if_possible(self) -> None:
        with suppress(StorageUnavailable):  # nobody asked for it; the next batch looks again
            await self._patiently(self._look_outside)

    async def _look_outside(self) -> None:
        """See what other processes have written: cancels, ends that are waited for, new work, pauses."""
        self._waiters.look_at_all()
        self._watches.look_at_all()
        if self._working:
            requested, self._running.paused = await self._database.write(partial(_outside, self._node))
            self._outside = False
            self._parking.stir()
            if requested:
                self._peers.timeout.hint(CancelRunning(requested))
            self._peers.scheduler.hint(LookForWork())


def _give_back(node: str, now: float, aging: float, held: frozenset[tuple[int, int]], connection: Connection) -> None:
    transaction = Transaction(connection, node, now, aging)
    orphans = [pair for pair in leases.held_by(connection, node) if pair not in held]
    leases.give_back(connection, orphans, now, aging, transaction.tally)
    transaction.tally.store(connection)


def _outside(node: str, connection: Connection) -> tuple[list[tuple[int, int]], frozenset[tuple[str, str]]]:
    return steer.cancels_requested(connection, node), steer.pauses(connection)


def unavailable(reason: str, patience: float) -> StorageUnavailable:
    """The error for a write that was given up."""
    return StorageUnavailable(
        f"the database took no writes for {patience:g} s: {reason}; nothing was stored, and it may be tried again"
    )

"""Storage: every write of this node in one transaction a batch, and the claims parked until there is work."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs

from ..core.errors import NotRunning, StorageUnavailable
from ..kernel import Actor, Handle
from ..store.connection import Connection
from ..store.faults import of_the_data
from .clock import Clock
from .database import Database
from .messages import (
    CancelRunning,
    Claim,
    LookAgain,
    LookAtLeases,
    LookForWork,
    LookOutside,
    LookUp,
    Read,
    SchedulerMessage,
    StorageMessage,
    TimeoutMessage,
    Withdraw,
)
from .notices import Notices
from .parking import NONE, Chances, Parking
from .patience import PATIENCE, Patience
from .running import Running
from .server import Server
from .transaction import SHARD, Transaction, Write, give_back, outside, run
from .waiters import Waiters
from .watches import Watches

logger = logging.getLogger("actors.system")

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
        server: its place among the nodes of a server; None: it works alone.
        notices: by which processes there tell each other what is new; None: by nothing.
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
        server: Server | None = None,
        notices: Notices | None = None,
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
        self._server = server
        self._notices = notices
        self._patience = Patience(running, patience)
        self._parking = Parking()
        self._resumed = False  # what is paused has changed, so that there may be more to claim
        self._outside = False  # another process has written, and that was not looked at
        self._lost = False  # others have taken this node for dead

    async def started(self) -> None:
        """Give back what an earlier life of this actor claimed, but did not live to hand out."""
        if self._working:
            await self._patience.have(self._give_back_orphans)
        await self._patience.have(self._look_outside)

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
                case LookAgain(lanes):
                    self._parking.stir(lanes)
                case Read():
                    self._database.read(message, message.query)
                case LookUp():
                    pass  # every batch does
                case LookOutside():
                    self._outside = True
                case LookAtLeases():
                    self._lost = True
                case Withdraw():
                    self._parking.withdraw()
                    message.answer(None)
        if self._lost:
            await self._if_possible(self._rejoin)
        if self._outside:
            await self._if_possible(self._look_outside)
        if writes or self._parking.chances(()):
            await self._store(writes)
        if self._resumed or (self._parking.suspect_waits and self._running.idle):
            self._resumed = False
            await self._store([])
        if self._notices is not None and (tell := self._notices.announcement()) is not None:
            await self._store([tell])  # first, so that nothing can happen after the look that nobody tells of
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
            await self._store_in_parts(writes, error)

    async def _store_in_parts(self, writes: Sequence[Write], error: Exception) -> None:
        """Store what can be, after *error* has undone all: one bad thing alone fails."""
        parts = [part for write in writes for part in write.parts()]
        if len(parts) == 1:
            await self._store_instead(parts[0], error)
        else:
            logger.warning("a transaction of %d parts failed; they are stored one by one", len(parts), exc_info=error)
            for part in parts:
                await self._store_alone(part)
        for write in writes:
            write.answer(None)  # of one that had parts; the others have their answers

    async def _store_alone(self, write: Write) -> None:
        try:
            await self._commit([write])
        except StorageUnavailable as error:
            self._refuse(write, error)
        except Exception as error:
            await self._store_instead(write, error)

    async def _store_instead(self, write: Write, error: Exception) -> None:
        instead = write.instead(error) if of_the_data(error) else None
        if instead is None:
            self._refuse(write, error)
        else:
            logger.error("%s was not stored as it is", type(write).__name__, exc_info=error)
            await self._store_alone(instead)

    def _refuse(self, write: Write, error: Exception) -> None:
        logger.error("%s was not stored", type(write).__name__, exc_info=error)
        write.fail(error)

    async def _commit(self, writes: Sequence[Write]) -> None:
        """One transaction.

        Raises:
            StorageUnavailable: its fault did not pass in time.
        """

        async def attempt() -> None:
            if self._patience.unsure:
                await self._give_back_orphans()
            chances = self._parking.chances(writes)
            transaction, answers = await self._database.write(self._operation(writes, chances))
            self._committed(transaction, writes, answers, chances)

        await self._patience.have(attempt)

    def _operation(
        self, writes: Sequence[Write], chances: Chances
    ) -> Callable[[Connection], tuple[Transaction, list[Any]]]:
        begin, idle = self._begin(), self._running.idle
        server, notices = self._server if chances else None, self._notices

        def operation(connection: Connection) -> tuple[Transaction, list[Any]]:
            transaction = begin(connection)
            transaction.lost = server is not None and not server.present(connection)
            given = NONE if transaction.lost else chances
            transaction.express = given.express
            answers = run(transaction, writes, given.rooms, idle=idle)
            if notices is not None:
                notices.tell(transaction)
            return transaction, answers

        return operation

    def _begin(self) -> Callable[[Connection], Transaction]:
        """What makes a transaction of now."""
        shard = SHARD if self._server is None else self._server.shard
        return partial(Transaction, node=self._node, now=self._clock.wall(), aging=self._aging, shard=shard)

    def _committed(
        self, transaction: Transaction, writes: Sequence[Write], answers: list[Any], chances: Chances
    ) -> None:
        """Tell everyone: leases first, so that whoever wakes up finds them right."""
        for change, _ in transaction.settled:
            self._running.settle(change.seq, change.attempt)
        self._waiters.committed(transaction)
        for write, answer in zip(writes, answers, strict=True):
            write.answer(answer)
        if transaction.lost:
            self._lost = True
        elif chances:
            self._running.take(transaction.claimed)
            self._parking.tried(chances, transaction)
        if transaction.paused is not None:
            self._running.paused, self._resumed = transaction.paused, True
            self._parking.stir()
        self._hint(transaction)

    def _hint(self, transaction: Transaction) -> None:
        self._peers.tell(transaction)
        for node, count in transaction.buried.items():
            logger.warning("node %s is dead; %d tasks that it ran are taken over", node, count)
        running = [found.running for found in transaction.cancelled if found.running is not None]
        mine = [(seq, number) for seq, number, node in running if node == self._node]
        if mine:
            self._peers.timeout.hint(CancelRunning(mine))
        due = transaction.next_due()
        if due is not None or transaction.buried:  # what the dead had put off is everybody's
            self._peers.scheduler.hint(LookForWork(due))

    async def _give_back_orphans(self) -> None:
        """Give back what is leased to this node in the database, and was never handed out."""
        held = frozenset(self._running.leased.items())
        if self._server is not None:
            await self._database.write(self._server.look)
        await self._database.write(partial(give_back, self._begin(), held))
        self._patience.unsure = self._server is not None and self._server.in_doubt
        self._parking.stir()
        self._waiters.look_at_all()
        self._peers.scheduler.hint(LookForWork())  # it may have stored what comes due later

    async def _if_possible(self, look: Callable[[], Awaitable[None]]) -> None:
        with suppress(StorageUnavailable):  # nobody asked for it; the next batch looks again
            await self._patience.have(look)

    async def _rejoin(self) -> None:
        """Make this node known again, after others took it for dead; end what they have taken over."""
        if self._server is not None:
            held = await self._database.write(self._server.rejoin)
            lost = [pair for pair in self._running.leased.items() if pair not in held]
            words = "node %s was taken for dead; %d tasks were taken over, and end here: their results are refused"
            logger.warning(words, self._node, len(lost))
            self._peers.timeout.hint(CancelRunning(lost))
        self._lost = False
        self._parking.stir()

    async def _look_outside(self) -> None:
        """See what other processes have written: cancels, ends that are waited for, new work, pauses."""
        self._waiters.look_at_all()
        self._watches.look_at_all()
        if self._working:
            requested, self._running.paused = await self._database.write(partial(outside, self._node))
            self._outside = False
            self._parking.stir()
            if requested:
                self._peers.timeout.hint(CancelRunning(requested))
            self._peers.scheduler.hint(LookForWork())

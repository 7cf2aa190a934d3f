"""A node taken apart: each actor alone, its peers played by probes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import trio

from actors.core.outcome import Change, Finished, decide
from actors.core.request import Claimed, NewTask, TaskRequest
from actors.core.retry import RetryPolicy
from actors.core.schedule import plain_row, requested_row
from actors.declare import Declaration, TaskOptions
from actors.execution.attempt import Attempt
from actors.execution.handler import Handler
from actors.execution.hooks import AttemptHooks
from actors.execution.process.pace import Pace
from actors.execution.process.pool import Pool
from actors.execution.surroundings import Surroundings
from actors.kernel import Actor, Ask, Child, Limits, Probe, supervise
from actors.settings import Settings
from actors.store import schema
from actors.store.connection import Connection
from actors.system.board import Board
from actors.system.clock import Chance, Clock
from actors.system.database import InlineDatabase
from actors.system.messages import Claim, LookUp
from actors.system.recorder import Recorder
from actors.system.replies import Replies
from actors.system.running import Running
from actors.system.storage import Peers, Storage
from actors.system.subscribers import Subscribers
from actors.system.transaction import Transaction, Write
from actors.system.waiters import Waiters
from actors.system.watches import Watches
from tests.execution.world import child, claimed, handler

T = TypeVar("T")
AGING = 60.0
MEMORY = "sqlite:///:memory:"
PATIENT = Limits(restarts=50)


async def rest() -> None:
    """A handler that runs until it is stopped."""
    await trio.sleep_forever()


class World:
    """The shared tables of a node, a probe for each actor, and the transactions that Storage has told of.

    The type `work` is declared by default; the lane `coroutine` has four slots, `thread` two.
    """

    def __init__(self, *handlers: Handler, recorder: Recorder | None = None, pace: Pace | None = None) -> None:
        known = handlers or (handler(rest),)
        self.clock = Clock(None)
        self.chance = Chance(1)
        self.handlers = {one.task_type: one for one in known}
        self.running = Running({"coroutine": 4, "thread": 2}, self.handlers, recorder or Recorder(None), pace)
        self.board = Board(self.clock.wall)
        self.hooks = AttemptHooks()
        self.surroundings = Surroundings(
            self.clock.wall, self.board.report, child, self.running.end_late, self.hooks, Pool({}, 0, 1)
        )
        self.told: list[Transaction] = []
        self.subscribers = Subscribers([])
        self.waiters = Waiters()
        self.storage: Probe[Any] = Probe("storage")
        self.monitor: Probe[Any] = Probe("monitor")
        self.timeout: Probe[Any] = Probe("timeout")
        self.retry: Probe[Any] = Probe("retry")
        self.scheduler: Probe[Any] = Probe("scheduler")
        self.replies = Replies(self.clock.wall, self.waiters, lambda: self.storage.handle.hint(LookUp()))

    def take(self, seq: int = 1, **values: Any) -> Claimed:
        """A task that is leased to this node."""
        task = claimed(seq, **values)
        self.running.take([task])
        return task

    def attempt(self, seq: int = 1, **values: Any) -> Attempt:
        """A leased attempt that counts as running, though nothing runs it."""
        task = self.take(seq, **values)
        lane = self.running.lanes[task.lane]
        attempt = Attempt(task, self.handlers[task.task_type], lane.limiter, self.surroundings)
        lane.running[seq] = attempt
        return attempt

    def finished(self, task: Claimed, result: str = '"done"') -> Change:
        """The change that a success asks for."""
        return decide(task, Finished(result), RetryPolicy.none(), self.clock.wall(), 0.5, 0.0)

    def row(self, task_type: str = "work", *, delay: float = 0.0, **wishes: Any) -> NewTask:
        """A task that nobody has stored yet; *delay* in seconds."""

        def function() -> None: ...

        now = self.clock.wall()
        defaults = Declaration(task_type, function, TaskOptions(lane="coroutine")).defaults(Settings())
        task_id, nonce = self.chance.task_id(now), self.chance.nonce()
        row = plain_row(defaults, "{}", now, task_id, nonce, AGING)
        if not delay and not wishes:
            return row
        request = TaskRequest(task_type, **wishes)
        row = requested_row(defaults, request, "{}", None, now, task_id, nonce, AGING)
        return later(row, now + delay) if delay else row

    def database(self) -> MemoryDatabase:
        """A fresh database in memory."""
        return MemoryDatabase()

    def make_storage(self, database: Any, waiters: Waiters | None = None, **options: Any) -> Callable[[], Storage]:
        """What a supervisor calls for each life of Storage."""
        peers = Peers(self.told.append, self.timeout.handle, self.scheduler.handle)
        shared, watches = waiters or self.waiters, Watches(self.clock.wall)
        chosen: Mapping[str, Any] = {"working": True, **options}
        return lambda: Storage(database, "node-1", self.clock, AGING, self.running, peers, shared, watches, **chosen)


def later(row: NewTask, due: float) -> NewTask:
    """*row*, due at *due*."""
    return row._replace(due_at=due, rank=None)


@attrs.define
class Hands:
    """A clock that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class MemoryDatabase(InlineDatabase):
    """A database in memory with the tables, that can be made to fail.

    Attributes:
        faults: raised by the next writes, one each.
        writes: how many transactions were begun.
    """

    def __init__(self) -> None:
        super().__init__(MEMORY)
        self.faults: list[Exception | None] = []
        self.writes = 0
        with self._connection.begin():
            schema.create(self._connection)

    async def write(self, operation: Callable[[Connection], T]) -> T:
        self.writes += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            await trio.lowlevel.checkpoint()
            raise fault
        return await super().write(operation)

    def look(self, query: Callable[[Connection], T]) -> T:
        """What the database holds."""
        with self._connection.begin():
            return query(self._connection)


class Desk:
    """A standing order, and what it has brought."""

    def __init__(self, world: World) -> None:
        self.brought: list[Claimed] = []
        self.claim = Claim(world.running.rooms, self.brought.extend)

    @property
    def seqs(self) -> list[int]:
        return [task.seq for task in self.brought]


async def together(storage: Child[Any], *messages: Write) -> list[object]:
    """Tell all at once, so that they are one batch; their answers, or errors."""
    for message in messages:
        assert storage.handle.hint(message)
    answers: list[object] = []
    for message in messages:
        try:
            answers.append(await message.reply.wait())
        except Exception as error:
            answers.append(error)
    return answers


@asynccontextmanager
async def alive(name: str, create: Callable[[], Actor[Any]]) -> AsyncIterator[Child[Any]]:
    """An actor that runs while the block runs, and is restarted when it crashes."""
    child: Child[Any] = Child(name, create)
    async with supervise([child], limits=PATIENT):
        yield child


async def answer_all(storage: Probe[Any], told: list[Any], after: float = 0.0) -> None:
    """Stand in for a Storage that answers at once, or *after* some seconds; keep what it was told in *told*."""
    await trio.sleep(after)
    while True:
        message = await storage.next()
        told.append(message)
        if isinstance(message, Ask):
            message.answer(None)

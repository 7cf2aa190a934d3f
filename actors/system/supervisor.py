"""The one place that knows every actor: it builds the tree, runs it, and stops it in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from ..core.budget import Budget
from ..core.errors import NotRunning
from ..core.request import NewTask, TaskRequest
from ..core.task import ExecutionMode
from ..execution.carried import apart
from ..execution.process.outfit import Outfit
from ..execution.process.pool import Pool
from ..execution.surroundings import Surroundings
from ..kernel import Child, Tree, supervise
from ..store.engine import in_memory, parse
from .asyncio_loop import asyncio_loop
from .board import Board
from .clock import Chance
from .database import ThreadedDatabase
from .heart import Heart
from .intake import Intake
from .lag import LoopWatch
from .memory import MemoryWatch
from .messages import (
    Committed,
    Failed,
    LookUp,
    MonitorMessage,
    SchedulerMessage,
    StorageMessage,
    TimeoutMessage,
    WorkerMessage,
)
from .metrics import Meter
from .monitor import Monitor
from .node import Node, node_name
from .notices import Ears, Notices
from .opened import Opened
from .opening import Visit, opened, public_url
from .order import Order
from .plan import Plan
from .replies import Replies
from .retry import Retry
from .running import LAST_WAIT, Running
from .scheduler import Scheduler
from .shared import CLOSE_WITHIN, Shared
from .storage import STOPPED, Peers, Storage
from .subscribers import Subscribers
from .timeout import Timeout
from .timers import Timers
from .transaction import Transaction
from .waiters import Waiters
from .watches import Watches
from .worker import Outbox, Tools, Worker

if TYPE_CHECKING:
    from ..execution.aio import AsyncioLoop

CAPACITY = 10_000


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Node]:
    """Run a node while the block runs.

    Raises:
        TreeFailed: a fault that restarts did not cure.
        SystemFailed: a resource could not be opened, or has failed.
        HandlerNotImportable: a handler cannot run in another process.
    """
    name, pool = node_name(), _pool(plan)
    async with (
        opened(Visit(plan.url, name, plan.work, plan.aging, plan.lease, plan.create)) as database,
        asyncio_loop(plan.handlers.values() if plan.work else ()) as loop,
        pool.running(),
    ):
        parts = _Parts(plan, name, database, loop, pool)
        limits, hurry = plan.limits, parts.running.hurry.set
        async with parts.shared.opened(parts.close_by):
            try:
                async with supervise(parts.children(), limits=limits, interrupted=hurry) as tree:
                    parts.begin(tree)
                    try:
                        yield parts.node
                    finally:
                        parts.begin_stop()
            finally:
                await parts.end()


def _pool(plan: Plan) -> Pool:
    """Where handlers in process mode run; as many processes stay warm as can be at work."""
    handlers = plan.handlers if plan.work else {}
    inside = [handler for handler in handlers.values() if handler.mode is ExecutionMode.PROCESS]
    slots = sum(plan.lanes[lane] for lane in {handler.lane for handler in inside})
    modules = {handler.function.__module__ for handler in inside}
    outfit = Outfit.of(plan.resources, plan.carried, modules) if inside else None
    limit = None if in_memory(parse(plan.url)) else plan.memory_limit
    return Pool(handlers, slots, plan.calls_per_child, outfit, limit)


class _Parts:
    """The shared tables and the children of one node."""

    def __init__(self, plan: Plan, name: str, opened: Opened, asyncio: AsyncioLoop | None, pool: Pool) -> None:
        self._plan = plan
        self._name = name
        self._opened = opened
        self.clock = opened.clock
        self.chance = Chance(plan.seed)
        self.running = Running(plan.lanes, plan.handlers, opened.recorder, pool.pace)
        self.subscribers = Subscribers(plan.callbacks)
        self.board = Board(self.clock.wall)
        self.meter = Meter(trio.current_time())
        self.heart = Heart(name, plan.lease, opened.time, lambda: self.node.description(), opened.beat_seconds)
        self.shared = Shared(plan.resources)
        self._memory = self._memory_watch(plan.memory_limit, pool)
        self._surroundings = Surroundings(
            self.clock.wall, self.board.report, self._prepare, self.running.end_late, plan.hooks, pool, asyncio,
            plan.carried, self.shared.values,
        )  # fmt: skip
        self._waiters = Waiters()
        self._watches = Watches(self.clock.wall)
        self._make_children()
        self._notices = self._make_notices()
        self._replies = Replies(self.clock.wall, self._waiters, lambda: self.storage.handle.hint(LookUp()))
        self.node = Node(
            name=name,
            database=public_url(plan.url),
            work=plan.work,
            grace=plan.grace,
            clock=self.clock,
            chance=self.chance,
            running=self.running,
            subscribers=self.subscribers,
            replies=self._replies,
            meter=self.meter,
            waiters=self._waiters,
            watches=self._watches,
            storage=self.storage.handle,
            intake=self.intake.handle,
            notices=self._notices,
            memory_limit_mb=self._memory.limit_mb if self._memory else None,
        )

    def _make_children(self) -> None:
        """In start order; handles are good from here on."""
        plan = self._plan
        self.storage: Child[StorageMessage] = Child("storage", self._storage, capacity=CAPACITY, stop_within=15.0)
        self.monitor: Child[MonitorMessage] = Child("monitor", self._monitor, capacity=CAPACITY)
        self.timeout: Child[TimeoutMessage] = Child("timeout", self._timeout)
        self.retry: Child[Failed] = Child("retry", self._retry)
        self.workers: dict[str, Child[WorkerMessage]] = {
            lane: Child(f"worker:{lane}", partial(self._worker, lane, Outbox())) for lane in plan.lanes if plan.work
        }
        order = Order(self.running, {lane: child.handle for lane, child in self.workers.items()})
        self.scheduler: Child[SchedulerMessage] = Child("scheduler", partial(self._scheduler, order))
        self.intake: Child[TaskRequest] = Child("intake", self._intake)
        self._budgets: dict[str, Budget] = {}

    def _make_notices(self) -> Notices | None:
        server, plan = self._opened.server, self._plan
        if server is None or not plan.notifications:
            return None
        scheduler = self.scheduler.handle if plan.work else None
        ears = Ears(self.running, self._waiters, self._watches, self.storage.handle, scheduler)
        return Notices(plan.url, self._name, f"{server.lock_key:x}", ears)

    def children(self) -> list[Child[Any]]:
        """In start order. A node that only submits runs nothing, and so needs no one who looks after that."""
        first: list[Child[Any]] = [self.storage, self.monitor]
        working: list[Child[Any]] = [self.timeout, self.retry, *self.workers.values(), self.scheduler]
        return [*first, *(working if self._plan.work else []), self.intake]

    def begin(self, tree: Tree) -> None:
        """What can begin only when all have started."""
        self.node.tree = tree
        if self._opened.recovery is not None and self._opened.recovery.recovered:
            self._tell(self._opened.recovery)
        if isinstance(self._opened.database, ThreadedDatabase):
            self.heart.look()
            for tick in Timers(
                self._name, self._plan.work, self.heart, self._opened.server, self.storage.handle, self._notices
            ):
                self._opened.database.every(tick)
            if self._plan.work:
                self._opened.database.every(LoopWatch(self._surroundings.asyncio).tick)

    def begin_stop(self) -> None:
        """The soft stage for all that runs; the grace time that is left to it may differ from the plan's."""
        grace = self.node.grace
        self.running.begin_stop(trio.current_time() + grace)
        self.scheduler.stop_within = grace + LAST_WAIT / 2  # it waits for Storage, and the hard stage does not
        for worker in self.workers.values():
            worker.stop_within = grace + 3 * LAST_WAIT

    async def end(self) -> None:
        """What an orderly stop has done already, and one that was not may have left undone."""
        await self.running.end_all()
        self._surroundings.pool.dismiss()  # while the node closes what is shared here, they close what is theirs
        if self._notices is not None:
            await self._notices.close()
        self._waiters.close(NotRunning(STOPPED))
        self._replies.give()
        self._replies.try_again(None)
        self.subscribers.close()

    def close_by(self) -> float:
        """Until when what handlers share may take to close, on trio's clock."""
        now, stop_at = trio.current_time(), self.running.stop_at
        return (now if stop_at is None or self.running.hurry.is_set() else stop_at) + CLOSE_WITHIN

    def _memory_watch(self, limit: float | None, pool: Pool) -> MemoryWatch | None:
        """None in virtual time too: what is to happen again in the same order may not hang on the machine."""
        watched = limit is not None and self._plan.work and not self.clock.virtual
        return MemoryWatch(limit, self.running, pool.relieve) if limit is not None and watched else None

    def _tell(self, transaction: Transaction) -> None:
        self.meter.count(transaction, trio.current_time())
        if self.subscribers or self._replies:
            self.monitor.handle.hint(Committed(transaction))

    def _storage(self) -> Storage:
        peers = Peers(self._tell, self.timeout.handle, self.scheduler.handle)
        return Storage(
            self._opened.database, self._name, self.clock, self._plan.aging, self.running, peers, self._waiters,
            self._watches, working=self._plan.work, server=self._opened.server, notices=self._notices,
        )  # fmt: skip

    def _monitor(self) -> Monitor:
        return Monitor(
            self.clock, self.subscribers, self._replies, self.board, self._plan.retention,
            self.storage.handle, self.monitor.handle, self._memory,
        )  # fmt: skip

    def _timeout(self) -> Timeout:
        return Timeout(self.running, self._plan.grace, self.monitor.handle, self.timeout.handle)

    def _retry(self) -> Retry:
        return Retry(self.clock, self.chance, self._budgets, self.storage.handle)

    def _worker(self, lane: str, outbox: Outbox) -> Worker:
        tools = Tools(
            self.clock, self.running, self.board, self._surroundings, self.storage.handle, self.retry.handle,
            self.monitor.handle,
        )  # fmt: skip
        return Worker(self.running.lanes[lane], outbox, tools, self.workers[lane].handle)

    def _scheduler(self, order: Order) -> Scheduler:
        return Scheduler(self.clock, self.running, order, self.storage.handle, self.scheduler.handle)

    def _intake(self) -> Intake:
        # What is set where the system was started is not the senders', whom the channel does not tell of.
        prepare = partial(apart, self._prepare) if self._plan.carried else self._prepare
        return Intake(prepare, self.clock, self.subscribers, self._replies, self.storage.handle)

    def _prepare(self, request: TaskRequest) -> NewTask:
        return self._plan.prepare(request, self.clock.wall(), self.chance)

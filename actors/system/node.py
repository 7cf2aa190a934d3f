"""A running node, for `app` to talk to: submits, reads, waits and watches; `steering.py` has what changes tasks."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import attrs
import trio

from .. import __version__
from ..core.errors import InvalidOption, NotRunning
from ..core.events import TaskEvent, TaskEventType
from ..core.identity import stored_id
from ..core.node import NodeInfo
from ..core.request import NewTask, Receipt, TaskRequest
from ..core.stored import plain_text
from ..core.task import Attempt, Order, Task
from ..kernel import ChildSnapshot, Handle, Tree
from ..store import nodes, pages, views
from ..store.outlook import Outlook, outlook
from .batch import Batch
from .clock import Chance, Clock
from .door import STOPPED, Door
from .messages import LookUp, StorageMessage
from .metrics import LaneMetrics, Meter, Metrics, Resources
from .notices import Notices
from .replies import Replies, channel_of
from .running import Running
from .steering import Steering
from .subscribers import BUFFER, Subscribers
from .waiters import Waiters
from .watches import Watch, Watches
from .writes import Submit

R = TypeVar("R")


def node_name() -> str:
    """A name that no other node has: host, process and moment."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


class Node:
    """What a task system can do while it runs.

    Attributes:
        database: the URL, without its passwords.
        grace: seconds that the stop leaves to what runs; may be changed until then.
        steering: what can be done to stored tasks.
    """

    def __init__(
        self,
        *,
        name: str,
        database: str,
        work: bool,
        grace: float,
        clock: Clock,
        chance: Chance,
        running: Running,
        subscribers: Subscribers,
        replies: Replies,
        meter: Meter,
        waiters: Waiters,
        watches: Watches,
        storage: Handle[StorageMessage],
        intake: Handle[TaskRequest],
        notices: Notices | None = None,
        memory_limit_mb: float | None = None,
    ) -> None:
        self.name = name
        self.database = database
        self.work = work
        self.grace = grace
        self.clock = clock
        self.chance = chance
        self.running = running
        self.tree: Tree
        self._subscribers = subscribers
        self._replies = replies
        self._meter = meter
        self._waiters = waiters
        self._watches = watches
        self._storage = storage
        self._door = Door(storage)
        self.steering = Steering(self._door, clock, chance, meter)
        self._intake = intake
        self._notices = notices
        self._memory_limit_mb = memory_limit_mb
        self._token = trio.lowlevel.current_trio_token()
        self._resources = Resources()
        self._started = trio.current_time()

    async def submit(self, rows: Sequence[NewTask], requests: Sequence[TaskRequest] = ()) -> list[Receipt]:
        """Store *rows*, all or none; *requests* are theirs, in case they want replies.

        Raises:
            InvalidOption: a `reply_to` cannot be sent to.
        """
        submit = Submit(rows)
        self._replies.follow(submit, [channel_of(request) for request in requests])
        receipts: list[Receipt] = await self._door.ask(submit)
        return receipts

    def from_thread(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """What *function* returns, run in the event loop; for other threads.

        Raises:
            InvalidOption: this is a thread in which trio runs.
            NotRunning: the event loop has ended, or did so meanwhile.
        """
        if trio.lowlevel.in_trio_run():
            raise InvalidOption(
                "submit_sync() would block the event loop, it is for other threads; here, await app.submit(…)"
            )
        try:
            return trio.from_thread.run(function, *args, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled):  # a cancel in a thread of its own: it is of the whole run
            raise NotRunning(STOPPED) from None

    def batch(self, most: int, *, ordered: bool) -> Batch:
        """A batch of tasks to be stored, and taken from as they end; see there."""
        return Batch(self._door, self._waiters, self._look_up, most, ordered=ordered)

    def _look_up(self) -> None:
        self._storage.hint(LookUp())

    def requests(self) -> trio.MemorySendChannel[TaskRequest]:
        """A clone of the Intake's own channel."""
        return self._intake.channel()

    async def wait(self, task_id: str) -> views.Ended:
        """The end of a task.

        Raises:
            TaskNotFound: it is not stored.
            NotRunning: the task system stops, and the task has not ended.
        """
        return await self._waiters.wait(stored_id(task_id), self._look_up)

    async def get(self, task_id: str) -> Task | None:
        """The task as it is stored."""
        return await self._door.read(lambda connection: views.get(connection, task_id))

    async def page(
        self, which: Mapping[str, Any], order: Order, limit: int, after: str | None, aging: float
    ) -> list[Task]:
        """A page of tasks; *which* are the values of a `views.Filter`."""
        chosen = views.Filter(**which)
        return await self._door.read(lambda connection: pages.page(connection, chosen, order, limit, after, aging))

    async def count(self, which: Mapping[str, Any]) -> int:
        """How many tasks there are."""
        chosen = views.Filter(**which)
        return await self._door.read(lambda connection: views.count(connection, chosen))

    async def attempts(self, task_id: str) -> list[Attempt]:
        """Attempts that did not simply succeed."""
        return await self._door.read(lambda connection: views.attempts(connection, task_id))

    async def statistics(self) -> views.Statistics:
        """What the counters say."""
        now, uptime = self.clock.wall(), trio.current_time() - self._started
        return await self._door.read(lambda connection: views.statistics(connection, now, uptime))

    async def outlook(self) -> Outlook:
        """What may still happen here without help from outside: for whoever moves the clock."""
        running, now = self.running, self.clock.wall()
        types = [name for name in running.handlers if ("task_type", name) not in running.paused]
        lanes = [name for name in running.lanes if ("lane", name) not in running.paused]
        return await self._door.read(lambda connection: outlook(connection, types if self.work else [], lanes, now))

    async def nodes(self) -> list[NodeInfo]:
        """The nodes of the database; this one as it is now."""
        now = self.clock.wall()
        found = await self._door.read(lambda connection: nodes.known(connection, now))
        return [self._as_it_is(node) if node.name == self.name else node for node in found]

    def _as_it_is(self, node: NodeInfo) -> NodeInfo:
        now = self.clock.wall()
        times = node.started_at.timestamp(), node.heartbeat_at.timestamp(), node.lease_until.timestamp()
        fresh = NodeInfo.of(self.name, *times, self.description(), working=self.work, now=now)
        return attrs.evolve(fresh, alive=True)

    def subscribe(
        self, task_type: str | None, types: TaskEventType | Iterable[TaskEventType] | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of the events of this node."""
        return self._subscribers.subscribe(task_type, types)

    @asynccontextmanager
    async def watch(self, task_id: str) -> AsyncIterator[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of one task's events, whichever process causes them."""
        sender, receiver = trio.open_memory_channel[TaskEvent](BUFFER)
        watch = Watch(sender, stored_id(task_id))
        with self._subscribers.listening(watch), self._watches.keeping(watch), sender, receiver:
            found = await self._door.read(partial(views.sights, task_ids=[watch.task_id]))
            watch.begin(found[0] if found else None)
            yield receiver

    def snapshot(self) -> list[ChildSnapshot]:
        """The live supervision tree."""
        return list(self.tree.snapshot())

    def description(self) -> str:
        """The live figures as JSON text, for other processes: the node's row carries it."""
        shown = attrs.asdict(self.metrics())
        types = sorted(self.running.handlers)
        head = {"at": self.clock.wall(), "version": __version__, "work": self.work, "task_types": types}
        return plain_text({**head, **shown})

    def metrics(self) -> Metrics:
        """Live figures, without I/O."""
        now = trio.current_time()
        lanes = {
            name: LaneMetrics(lane.slots, len(lane.running), max(0, lane.free()), len(lane.stuck))
            for name, lane in self.running.lanes.items()
        }
        return Metrics(
            running_tasks=sum(lane.running for lane in lanes.values()),
            running_by_type={name: count for name, count in self.running.by_type.items() if count},
            lanes=lanes,
            rates=self._meter.rates(now),
            latencies=self._meter.latencies(),
            mailboxes={child.name: child for child in self.tree.snapshot()},
            events_lost=self._subscribers.lost + self._replies.lost,
            system_resources=self._resources.look(now),
            memory_limit_mb=self._memory_limit_mb,
            claims_paused=self.running.short_of_memory,
            notifications=None if self._notices is None else self._notices.are_heard,
        )

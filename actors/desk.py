"""Desk: look and steer. It takes a running node, and no handler.

Nothing here imports trio or SQLAlchemy before it runs, see `app.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import attrs

from .core import options
from .core.errors import InvalidOption, NotRunning, TaskNotFound, did_you_mean
from .core.task import Attempt, Order, Task, TaskStatus
from .registry import Registry
from .settings import Settings
from .ticket import Ticket

if TYPE_CHECKING:
    import trio

    from .core.events import TaskEvent, TaskEventType
    from .core.node import NodeInfo
    from .kernel import ChildSnapshot
    from .store.views import Statistics
    from .system.metrics import Metrics
    from .system.node import Node


class Desk:
    """What any process can ask of a database with tasks, and do to them, while a node runs.

    Each method raises `NotRunning` while none does.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._registry = Registry(settings)
        self._node: Node | None = None

    @property
    def running_node(self) -> Node:
        """The node that runs.

        Raises:
            NotRunning: none does.
        """
        if self._node is None:
            raise NotRunning("the task system is not running; enter `async with app.running():` first")
        return self._node

    @property
    def is_running(self) -> bool:
        """Whether a node runs."""
        return self._node is not None

    def wall(self) -> float:
        """The system's time, epoch seconds."""
        return time.time() if self._node is None else self._node.clock.wall()

    def tree(self) -> Sequence[ChildSnapshot]:
        """The live supervision tree: each actor's name, state, mailbox, restarts and last error."""
        return self.running_node.snapshot()

    def decode_result(self, task_type: str, text: str | None) -> Any:
        """A stored result (JSON text), of the type that the handler's annotation promises."""
        return self._registry.decode_result(task_type, text)

    def ticket(self, task_id: str) -> Ticket[Any]:
        """A ticket for a task that was submitted elsewhere or before."""
        return Ticket(self, task_id, created=False)

    # Look

    async def get(self, task_id: str) -> Task | None:
        """The task as it is stored, or None."""
        return await self.running_node.get(task_id)

    async def list(
        self,
        *,
        task_type: str | None = None,
        status: TaskStatus | None = None,
        lane: str | None = None,
        key: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: Order = "newest",
        limit: int = 100,
        after: str | None = None,
    ) -> list[Task]:
        """A page of tasks.

        A page is found by seeks, however many tasks there are; but filters other than the status in the order "ended",
        the status RUNNING by submission, or the lane and the type of what is ready in the order "due", read on until
        enough tasks have passed them.

        Args:
            order: "newest" or "oldest" first, by submission; "due": tasks that wait, next one first: what is ready to
                start in the order in which it starts, then what is put off by its due time; "ended": latest first.
                The page behind a task that was put off since it was listed (a retry) begins at its new place: what was
                ready behind the old one is not on it. Who must miss nothing walks by submission.
            limit: 1–1000.
            after: the last task_id of the page before.

        Raises:
            TaskNotFound: *after* is not stored any more; begin with the first page.
            IllegalTransition: *after* has been revived, and so has no place among the ended any more.
            InvalidOption: an option has a value that cannot work, or the order has no tasks of this *status*.
        """
        if order not in (orders := get_args(Order)):
            known = ", ".join(map(repr, orders))
            raise InvalidOption(f"order is {order!r:.80}; it should be one of {known}{did_you_mean(order, orders)}")
        options.whole("limit", limit, 1, 1000)
        which = _filter(task_type, status, lane, key, created_after, created_before)
        return await self.running_node.page(which, order, limit, after, self.settings.aging_seconds)

    async def count(
        self,
        *,
        task_type: str | None = None,
        status: TaskStatus | None = None,
        lane: str | None = None,
        key: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> int:
        """How many tasks are stored; by type and status this costs the same whatever there is."""
        which = _filter(task_type, status, lane, key, created_after, created_before)
        return await self.running_node.count(which)

    async def attempts(self, task_id: str) -> Sequence[Attempt]:
        """The attempts of a task that did not simply succeed, oldest first."""
        return await self.running_node.attempts(task_id)

    async def statistics(self) -> Statistics:
        """What the counters say of all tasks."""
        return await self.running_node.statistics()

    async def reset_statistics(self) -> None:
        """Let statistics, trends and reports of all nodes begin anew, and this node's rates and latencies.

        How many tasks there are, in which state, stays as it is, and so do the tasks.
        """
        await self.running_node.steering.reset_statistics()

    async def nodes(self) -> Sequence[NodeInfo]:
        """The nodes that work on this database, in any process, with what they say of themselves.

        One that died is among them, no longer `alive`, until a node that starts clears up after it.
        """
        return await self.running_node.nodes()

    def metrics(self) -> Metrics:
        """This node's live figures, without I/O."""
        return self.running_node.metrics()

    @asynccontextmanager
    async def events(
        self, task_type: str | None = None, types: TaskEventType | Iterable[TaskEventType] | None = None
    ) -> AsyncIterator[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of the events that this node causes while the block runs. A slow reader loses some, counted.

        Raises:
            InvalidOption: *types* has something else than event types, or nothing.
        """
        with self.running_node.subscribe(task_type, types) as receive:
            yield receive

    # Steer

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task, pending or running. True: it had not ended, and will end CANCELLED.

        Raises:
            TaskNotFound: it is not stored.
        """
        taken = await self.running_node.steering.cancel(task_id)
        if taken is None:
            raise TaskNotFound.of(task_id)
        return taken

    async def retry(self, task_id: str) -> Ticket[Any]:
        """Revive an ended task, whatever its end: it is pending and due now, with all its retries before it.

        Its result, expiry and counts of retries and crashes are gone; its attempts stay, and their numbers go on. Who
        waits for its result from now on waits for the new one. It is told as a SUBMITTED event, with `revived_from`.

        Raises:
            TaskNotFound: it is not stored.
            IllegalTransition: it has not ended, or a living task of its type has taken its key.
        """
        await self.running_node.steering.revive(task_id)
        return self.ticket(task_id)

    async def retry_failed(self, task_type: str | None = None, since: datetime | None = None) -> int:
        """Revive all tasks that ended FAILED or TIMEOUT, see `retry`; how many there were.

        It is done in transactions of up to 500, so that other work goes on beside it. What fails again meanwhile is
        left alone, as are tasks whose key a living task has taken.

        Args:
            task_type: of this type alone.
            since: which ended at this time or after it.
        """
        start = None if since is None else options.epoch("since", since)
        return await self.running_node.steering.revive_failed(options.sought("task_type", task_type), start)

    async def delete(self, task_id: str) -> None:
        """Remove an ended task, with its attempts.

        Raises:
            TaskNotFound: it is not stored (any more).
            IllegalTransition: it has not ended; cancel it first.
        """
        await self.running_node.steering.delete(task_id)

    async def pause(self, *, lane: str | None = None, task_type: str | None = None) -> None:
        """Start no more tasks of a lane or a type, on any node, until `resume`. What runs goes on.

        A node in another process hears of it within 100 ms, on PostgreSQL without notifications within 0.5 s. A system
        without declarations, which only looks and steers, takes any name, since others know which there are.

        Raises:
            UnknownTaskType, InvalidOption: this system has declarations, and none of that type or in that lane.
        """
        kind, name = _one_of_two(lane, task_type)
        self._registry.check_name(kind, name)
        await self.running_node.steering.pause(kind, name, on=True)

    async def resume(self, *, lane: str | None = None, task_type: str | None = None) -> None:
        """End a pause; also that of a lane or a type that is not declared (any more).

        Raises:
            UnknownTaskType, InvalidOption: see `pause`; and it is not paused.
        """
        kind, name = _one_of_two(lane, task_type)
        options.word(kind, name)
        if (kind, name) not in await self.pauses():
            self._registry.check_name(kind, name)
        await self.running_node.steering.pause(kind, name, on=False)

    async def pauses(self) -> frozenset[tuple[str, str]]:
        """What is paused, here and on every node: ("lane" or "task_type", name)."""
        return await self.running_node.steering.pauses()

    async def cleanup(
        self,
        *,
        completed_older_than: float | timedelta | None = None,
        failed_older_than: float | timedelta | None = None,
    ) -> int:
        """Delete ended tasks that are older than this (seconds, or a timedelta); how many there were.

        By default by the settings' days, which also go by themselves, once an hour. Cancelled tasks go with the
        completed, timed out ones with the failed. Results over 64 kB go after the setting's `large_result_days`: a
        note that says so takes their place.
        """
        kept = self.settings.retention
        if completed_older_than is not None:
            kept = attrs.evolve(kept, completed=options.span("completed_older_than", completed_older_than))
        if failed_older_than is not None:
            kept = attrs.evolve(kept, failed=options.span("failed_older_than", failed_older_than))
        return await self.running_node.steering.cleanup(kept)


def _one_of_two(lane: str | None, task_type: str | None) -> tuple[str, str]:
    """What a pause is of: its kind and its name."""
    if lane is not None and task_type is None:
        return "lane", lane
    if task_type is not None and lane is None:
        return "task_type", task_type
    raise InvalidOption("a pause is of a lane or of a task type; give lane= or task_type=")


def _filter(
    task_type: str | None,
    status: TaskStatus | None,
    lane: str | None,
    key: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
) -> dict[str, Any]:
    if status is not None and not isinstance(status, TaskStatus):
        raise InvalidOption(f"status is {status!r}; it should be a TaskStatus")
    return {
        "task_type": options.sought("task_type", task_type),
        "status": status,
        "lane": options.sought("lane", lane),
        "key": options.sought("key", key),
        "created_after": None if created_after is None else options.epoch("created_after", created_after),
        "created_before": None if created_before is None else options.epoch("created_before", created_before),
    }

"""Intake: the channel that users hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.errors import ActorsError
from ..core.events import TaskEvent, TaskEventType
from ..core.request import NewTask, TaskRequest
from ..core.task import moment
from ..kernel import Actor, Handle
from .clock import Clock
from .messages import StorageMessage, Submit
from .subscribers import Subscribers


class Intake(Actor[TaskRequest]):
    """Stores the requests that come by channel, a batch in one message. What cannot be taken is told as REJECTED.

    Args:
        prepare: makes a request's row, or raises an ActorsError.
    """

    def __init__(
        self,
        prepare: Callable[[TaskRequest], NewTask],
        clock: Clock,
        subscribers: Subscribers,
        storage: Handle[StorageMessage],
    ) -> None:
        self._prepare = prepare
        self._clock = clock
        self._subscribers = subscribers
        self._storage = storage

    async def receive(self, batch: Sequence[TaskRequest]) -> None:
        rows = []
        for request in batch:
            try:
                rows.append(self._prepare(request))
            except ActorsError as error:
                self._reject(request, error)
        if rows:
            await self._storage.ask(Submit(rows))

    def _reject(self, request: TaskRequest, error: ActorsError) -> None:
        at = moment(self._clock.wall())
        data = {"error": str(error), "error_type": type(error).__name__}
        self._subscribers.publish(
            TaskEvent(TaskEventType.REJECTED, request.task_id or "", str(request.task_type), 0, at, data)
        )

"""Intake: the channel that users hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from ..core.events import TaskEvent, TaskEventType
from ..core.request import NewTask, TaskRequest
from ..core.task import moment
from ..execution.faults import worded
from ..kernel import Actor, Handle
from .clock import Clock
from .messages import StorageMessage
from .replies import Channel, Replies, channel_of
from .subscribers import Subscribers
from .writes import Submit

logger = logging.getLogger("actors.system")


class Intake(Actor[TaskRequest]):
    """Stores the requests that come by channel, a batch in one message. What cannot be taken is told as REJECTED.

    Whatever users send, and whatever becomes of storage, this does not crash: the batch would be given again, with
    new ids, and so would be stored twice if it had been committed before.

    Args:
        prepare: makes a request's row, or raises what is wrong with it.
    """

    def __init__(
        self,
        prepare: Callable[[TaskRequest], NewTask],
        clock: Clock,
        subscribers: Subscribers,
        replies: Replies,
        storage: Handle[StorageMessage],
    ) -> None:
        self._prepare = prepare
        self._clock = clock
        self._subscribers = subscribers
        self._replies = replies
        self._storage = storage

    async def receive(self, batch: Sequence[TaskRequest]) -> None:
        rows: list[NewTask] = []
        channels: list[Channel | None] = []
        for request in batch:
            try:
                row, channel = self._prepare(request), channel_of(request)
            except Exception as error:
                self._reject(_named(request, "task_id"), _named(request, "task_type"), error, _reply_to(request))
            else:
                rows.append(row)
                channels.append(channel)
        if rows:
            await self._store(rows, channels)

    async def _store(self, rows: Sequence[NewTask], channels: Sequence[Channel | None]) -> None:
        submit = Submit(rows)
        self._replies.follow(submit, channels)
        try:
            await self._storage.ask(submit)
        except Exception as error:
            logger.warning("%d requests that came by channel are not stored: %s", len(rows), error)
            for row, channel in zip(rows, channels, strict=True):
                self._reject(row.task_id, row.task_type, error, channel)

    def _reject(self, task_id: str, task_type: str, error: Exception, channel: Channel | None) -> None:
        at = moment(self._clock.wall())
        data = {"error": worded(error), "error_type": type(error).__name__}
        event = TaskEvent(TaskEventType.REJECTED, task_id, task_type, 0, at, data)
        self._subscribers.publish(event)
        if channel is not None:
            self._replies.owe(channel, event)


def _named(request: object, name: str) -> str:
    """What *request* says; nothing if it is no request, or says no text."""
    value = getattr(request, name) if isinstance(request, TaskRequest) else None
    return value if isinstance(value, str) else ""


def _reply_to(request: object) -> Channel | None:
    """Where to tell of the request's rejection, if that can be."""
    channel = request.reply_to if isinstance(request, TaskRequest) else None
    return channel if isinstance(channel, trio.MemorySendChannel) else None

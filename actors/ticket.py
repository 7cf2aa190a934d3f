"""A ticket: one task's id, and the ways to wait for it, watch it and cancel it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .core.errors import ResultRemoved, TaskCancelled, TaskFailed, TaskNotFound, TaskTimedOut, UnsuccessfulTask
from .core.retention import note_from
from .core.stored import error_from
from .core.task import ErrorInfo, Task, TaskStatus

if TYPE_CHECKING:
    import trio

    from .core.events import TaskEvent
    from .desk import Desk
    from .store.views import Ended

R = TypeVar("R")


class Ticket(Generic[R]):
    """What submit returns.

    Attributes:
        task_id: the text of the task's UUID.
        created: False if the task was there before, by its id or its key.
    """

    __slots__ = ("_app", "created", "task_id")

    def __init__(self, app: Desk, task_id: str, created: bool) -> None:
        self._app = app
        self.task_id = task_id
        self.created = created

    def __repr__(self) -> str:
        return f"<Ticket {self.task_id}>"

    async def result(self) -> R:
        """Wait for the end; what the handler returned.

        Raises:
            TaskFailed, TaskTimedOut, TaskCancelled: it ended otherwise; they carry the stored error.
            ResultRemoved: it completed long ago, with a result too large to be kept.
            TaskNotFound: it is not stored (any longer).
        """
        result: R = result_of(self._app, await self._app.running_node.wait(self.task_id))
        return result

    async def wait(self) -> Task:
        """Wait for the end, whatever it is; the task as it is then.

        Raises:
            TaskNotFound: it is not stored (any longer).
        """
        await self._app.running_node.wait(self.task_id)
        return await self.task()

    async def status(self) -> TaskStatus:
        """Where it stands.

        Raises:
            TaskNotFound: it is not stored (any longer).
        """
        return (await self.task()).status

    async def task(self) -> Task:
        """The task as it is stored now.

        Raises:
            TaskNotFound: it is not stored (any longer).
        """
        task = await self._app.get(self.task_id)
        if task is None:
            raise TaskNotFound.of(self.task_id)
        return task

    async def cancel(self) -> bool:
        """See `TaskSystem.cancel`."""
        return await self._app.cancel(self.task_id)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[TaskEvent]]:
        """A channel of this task's events from now on, whichever process causes them. A slow reader loses some.

        Of what another process does, it tells within 100 ms (0.5 s on PostgreSQL without notifications) what the stored
        task shows: several changes between two looks may come as the last of them; the end always comes.
        """
        async with self._app.running_node.watch(self.task_id) as receive:
            yield receive


def result_of(app: Desk, ended: Ended) -> Any:
    """What the handler returned; raises as `Ticket.result` if that is not to be had."""
    if ended.status != TaskStatus.COMPLETED.value:
        raise _unsuccessful(ended.task_type, ended.task_id, ended.status, error_from(ended.error))
    if (note := note_from(ended.result)) is not None:
        raise ResultRemoved(f"task {ended.task_id} ({ended.task_type!r}) has completed, but {note}")
    return app.decode_result(ended.task_type, ended.result)


def _unsuccessful(task_type: str, task_id: str, status: str, error: ErrorInfo | None) -> UnsuccessfulTask:
    kinds: dict[str, tuple[type[UnsuccessfulTask], str]] = {
        "failed": (TaskFailed, "failed"),
        "timeout": (TaskTimedOut, "timed out"),
        "cancelled": (TaskCancelled, "was cancelled"),
    }
    kind, words = kinds[status]
    why = f": {error}" if error is not None else ""
    return kind(f"task {task_id} ({task_type!r}) {words}{why}", task_id, error)

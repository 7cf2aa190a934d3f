"""SubmitDesk: the ways to submit. It takes declared handlers, and for most of them a running node.

Nothing here imports trio or SQLAlchemy before it runs, see `app.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .core.errors import InvalidOption
from .core.request import TaskRequest
from .declare import Declaration
from .desk import Desk
from .ticket import Ticket

if TYPE_CHECKING:
    import trio
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, scoped_session


class SubmitDesk(Desk):
    """A desk that knows what tasks are declared, and so can take new ones."""

    async def submit(self, request: TaskRequest) -> Ticket[Any]:
        """Store a task; returns after the commit. See `DeclaredTask.submit` for the errors.

        Raises:
            UnknownTaskType: nothing is declared under the request's type.
        """
        node = self.running_node
        row = self._registry.row(request, node.clock.wall(), node.chance)
        (receipt,) = await node.submit([row], [request])
        return Ticket(self, receipt.task_id, receipt.created)

    async def submit_many(self, requests: Iterable[TaskRequest]) -> list[Ticket[Any]]:
        """Store tasks, all or none, in one commit; their tickets in the same order."""
        node = self.running_node
        wanted = _listed(requests)
        rows = [self._registry.row(request, node.clock.wall(), node.chance) for request in wanted]
        receipts = await node.submit(rows, wanted) if rows else []
        return [Ticket(self, receipt.task_id, receipt.created) for receipt in receipts]

    def submit_sync(self, request: TaskRequest) -> Ticket[Any]:
        """`submit` for any thread but the event loop's, that of a handler among them; blocks until the commit.

        Raises:
            InvalidOption: it was called in a thread in which trio runs.
            NotRunning: the task system does not run, or stopped meanwhile.
        """
        return self.running_node.from_thread(self.submit, request)

    async def submit_plain(
        self, declaration: Declaration, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Ticket[Any]:
        """Store a task without options of its own: the short way of `DeclaredTask.submit`."""
        node = self.running_node
        if self._registry.hooks.before_submit:
            return await self.submit(declaration.request(args, kwargs))
        row = self._registry.plain_row(declaration, args, kwargs, node.clock.wall(), node.chance)
        (receipt,) = await node.submit([row])
        return Ticket(self, receipt.task_id, receipt.created)

    def enqueue(
        self, connection: Connection | Session | scoped_session[Session], requests: Iterable[TaskRequest]
    ) -> list[Ticket[Any]]:
        """Store tasks in your own transaction: they are there when it commits, and go when it is rolled back.

        It needs no running node. A working node notices the commit within 100 ms on the same SQLite file. Until then
        nobody else sees the tasks; `Ticket.wait` does not find them. From asyncio: `await session.run_sync(app.enqueue,
        requests)`. The transaction is not ended here. On SQLite it holds the file's one write lock from here on, so
        every node's writes, and with them submits and outcomes, wait until it ends: keep it short.

        Args:
            connection: an SQLAlchemy Connection or Session, on SQLite or PostgreSQL, with any driver of these.

        Raises:
            UnknownTaskType, InvalidPayload, PayloadTooLarge, InvalidOption: a request cannot be stored; none is.
            SchemaMismatch: the database has no tables for tasks, or those of another version.
        """
        from .system.enqueue import enqueue

        receipts = enqueue(connection, _listed(requests), self._registry.row, self.wall())
        return [Ticket(self, receipt.task_id, receipt.created) for receipt in receipts]

    def requests(self) -> trio.MemorySendChannel[TaskRequest]:
        """A clone of the channel that the Intake actor reads.

        A request is stored once its SUBMITTED event has come, to the subscribers of events, and to its own `reply_to`
        if it has one; what cannot be taken is told as a REJECTED event.
        """
        return self.running_node.requests()


def _listed(given: object) -> list[TaskRequest]:
    if isinstance(given, TaskRequest) or not isinstance(given, Iterable):
        raise InvalidOption(f"the requests are {given!r:.80}; they should be a list of TaskRequests")
    return list(given)

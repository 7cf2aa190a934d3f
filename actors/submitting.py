"""SubmitDesk: the ways to submit. It takes declared handlers, and for most of them a running node.

Nothing here imports trio or SQLAlchemy before it runs, see `app.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from .core import options
from .core.errors import ActorsError, InvalidOption
from .core.request import NewTask, TaskRequest
from .declare import Declaration
from .declared import DeclaredTask
from .desk import Desk
from .ticket import Ticket, result_of

if TYPE_CHECKING:
    import trio
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, scoped_session

    from .batch import Payload, Payloads

R = TypeVar("R")

MOST_IN_FLIGHT: Final = 100_000
"""What the block of a map may have to cancel in one transaction."""


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

    @overload
    def map(
        self, task: DeclaredTask[..., R], payloads: Payloads, *, ordered: bool = True,
        errors: Literal["raise"] = "raise", chunk: int = 100, most_in_flight: int = 1000, keep: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[R]]: ...  # fmt: skip
    @overload
    def map(
        self, task: DeclaredTask[..., R], payloads: Payloads, *, ordered: bool = True,
        errors: Literal["yield"], chunk: int = 100, most_in_flight: int = 1000, keep: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[R | ActorsError]]: ...  # fmt: skip

    def map(
        self,
        task: DeclaredTask[..., Any],
        payloads: Payloads,
        *,
        ordered: bool = True,
        errors: Literal["raise", "yield"] = "raise",
        chunk: int = 100,
        most_in_flight: int = 1000,
        keep: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """Submit a task for each of *payloads*, and give their results: `async with app.map(…) as results:`.

        Payloads are read, and tasks submitted, while results are taken, so that any number of them needs the memory of
        *most_in_flight*. Leaving the block early cancels what was submitted and has not ended.

        Args:
            task: a declared task, or a copy of it with `options`.
            payloads: mappings of the handler's parameters, in any iterable, async or not; it is read in the event loop,
                where it must not block.
            ordered: give results in the order of the payloads; False: as tasks end.
            errors: what becomes of a task that ended without a result. "raise": its error is raised in the result's
                place, and the next step goes on with the next task; "yield": it is given there.
            chunk: how many tasks are stored in one commit, where so many payloads are there.
            most_in_flight: how many may be submitted, and their results not taken.
            keep: what was submitted goes on when the block is left early.

        Raises:
            InvalidOption: an option has a value that cannot work, or *task* is of another system.
            InvalidPayload, PayloadTooLarge: a payload cannot be submitted; raised after the results of those before.
            NotRunning: the task system does not run, or stops.
        """
        from .batch import Feeder, Results, fed

        _be_mappable(task, payloads, errors)
        task.request_of(self, {})
        most = options.whole("most_in_flight", most_in_flight, 1, MOST_IN_FLIGHT)
        together = min(options.whole("chunk", chunk, 1), most)
        node = self.running_node

        def row_of(payload: Payload) -> NewTask:
            return self._registry.row(task.request_of(self, payload), node.clock.wall(), node.chance)

        batch = node.batch(most, ordered=ordered)
        results: Results[Any] = Results(batch, lambda ended: result_of(self, ended), raises=errors == "raise")
        return fed(Feeder(payloads, row_of, batch, together), results, keep=keep)

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

        It needs no running node. A working node notices the commit within 100 ms on the same SQLite file, and is told
        of it on the same PostgreSQL server, unless that is switched off or the commit is one of two phases. Until then
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

        tell = self.settings.notifications
        receipts = enqueue(connection, _listed(requests), self._registry.row, self.wall(), tell=tell)
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


def _be_mappable(task: object, payloads: object, errors: object) -> None:
    if not isinstance(task, DeclaredTask) or not isinstance(payloads, Iterable | AsyncIterable):
        raise InvalidOption(f"map got {task!r:.80} and {payloads!r:.80}; it takes a declared task and an iterable")
    if errors not in ("raise", "yield"):
        raise InvalidOption(f"errors is {errors!r:.80}; it should be 'raise' or 'yield'")

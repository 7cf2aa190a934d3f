"""`TaskSystem.map`: payloads in, results out, with bounded memory in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import attrs
import trio

from .core.errors import ActorsError, ResultRemoved, TaskNotFound, UnsuccessfulTask

if TYPE_CHECKING:
    from .core.request import NewTask
    from .store.views import Ended
    from .system.batch import Batch

R = TypeVar("R")

Payload: TypeAlias = Mapping[str, Any]
Payloads: TypeAlias = Iterable[Payload] | AsyncIterable[Payload]

OF_ONE_TASK = (UnsuccessfulTask, ResultRemoved, TaskNotFound)


class Results(AsyncIterator[R | ActorsError], Generic[R]):
    """What comes out. It is no generator: an error that it raises does not end it.

    Args:
        value_of: makes a result of an end, or raises the task's error.
        raises: whether such errors are raised, or given in the result's place.
    """

    def __init__(self, batch: Batch, value_of: Callable[[Ended], R], *, raises: bool) -> None:
        self._batch = batch
        self._value_of = value_of
        self._raises = raises

    async def __anext__(self) -> R | ActorsError:
        try:
            ended = await self._batch.take()
            if ended is not None:
                return self._value_of(ended)
        except OF_ONE_TASK as error:
            if self._raises:
                raise
            return error
        raise StopAsyncIteration


@attrs.define
class Feeder:
    """Reads payloads, and stores tasks as there is room for them.

    Two trio tasks: one waits for the next payload, the other stores what has come. What ends them is told to who takes
    the results, in its place: after those of all that came before.

    Attributes:
        row_of: makes the row of a payload, or raises what is wrong with it.
        chunk: how many tasks are stored at once, if there are as many.
    """

    payloads: Payloads
    row_of: Callable[[Payload], NewTask]
    batch: Batch
    chunk: int
    count: int = 0
    fault: BaseException | None = None

    async def run(self) -> None:
        """Until the payloads end, or one of them cannot be stored."""
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[Payload](self.chunk)
            nursery.start_soon(self._read, send)
            try:
                async for first in receive:
                    await self.batch.room_for(self.chunk)
                    if not await self._stored([first, *_waiting(receive, self.chunk - 1)]):
                        break
            except trio.Cancelled:
                raise
            except BaseException as error:
                self.fault = error
            self.batch.finish(self.fault)
            nursery.cancel_scope.cancel()

    async def _read(self, send: trio.MemorySendChannel[Payload]) -> None:
        with send:
            try:
                if not isinstance(self.payloads, AsyncIterable):
                    for payload in self.payloads:
                        await send.send(payload)
                elif isinstance(self.payloads, AsyncGenerator):
                    async with aclosing(self.payloads):
                        await self._read_async(self.payloads, send)
                else:
                    await self._read_async(self.payloads, send)
            except trio.Cancelled:
                raise
            except BaseException as error:
                self.fault = error

    async def _read_async(self, payloads: AsyncIterable[Payload], send: trio.MemorySendChannel[Payload]) -> None:
        async for payload in payloads:
            await send.send(payload)

    async def _stored(self, payloads: list[Payload]) -> bool:
        """Whether all of *payloads* are stored; those before the first that cannot be are."""
        rows = []
        for payload in payloads:
            try:
                rows.append(self.row_of(payload))
            except Exception as error:
                error.add_note(f"in payload {self.count + len(rows)} of the map, counted from 0")
                self.fault = error
                break
        if rows:
            await self.batch.store(rows)
        self.count += len(rows)
        return len(rows) == len(payloads)


def _waiting(receive: trio.MemoryReceiveChannel[Payload], most: int) -> Iterable[Payload]:
    """Up to *most* payloads that are there already."""
    for _ in range(most):
        try:
            yield receive.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return


@asynccontextmanager
async def fed(feeder: Feeder, results: Results[R], *, keep: bool) -> AsyncIterator[Results[R]]:
    """*results* while *feeder* runs; what is left when the block is left is cancelled, unless it is to be kept."""
    error: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feeder.run)
            try:
                yield results
            except BaseException as raised:  # it leaves below: the nursery would wrap it into a group
                error = raised
            nursery.cancel_scope.shield = True  # nor may it wrap the cancel of who called
            nursery.cancel_scope.cancel()
        await feeder.batch.leave(keep=keep)
        if error is not None:
            raise error
    finally:
        del error  # it holds this frame through its traceback

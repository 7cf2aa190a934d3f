"""The block of `ctx.until_stopping()`, for trio's coroutines and for asyncio's."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidOption

if TYPE_CHECKING:
    import asyncio

    import trio

    from .context import TaskContext


class UntilStopping:
    """`with` it in a coroutine of trio, `async with` in one of asyncio."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._scope: trio.CancelScope
        self._aio: AsyncioScope

    def __enter__(self) -> trio.CancelScope:
        import trio

        if _asyncio_task() is not None:  # it would cancel the asyncio loop, and all that runs on it
            raise InvalidOption("this handler runs in asyncio; write `async with ctx.until_stopping()` in it")
        self._scope = trio.CancelScope()
        self._begin(self._scope)
        return self._scope.__enter__()

    # `bool`, since type checkers then know that the code after the block is reached.
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._end(self._scope)
        caught = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            self._context.interrupted = True
        return caught

    async def __aenter__(self) -> AsyncioScope:
        task = _asyncio_task()
        if task is None:
            raise InvalidOption("this handler does not run in asyncio; write `with ctx.until_stopping()` in it")
        self._aio = AsyncioScope(task)
        self._begin(self._aio)
        return self._aio

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._end(self._aio)
        if await self._aio.leave(kind):
            self._context.interrupted = True
        return self._aio.cancelled_caught

    def _begin(self, scope: trio.CancelScope | AsyncioScope) -> None:
        if self._context.stopping is not None:
            scope.cancel()
        self._context.scopes += (scope,)

    def _end(self, scope: trio.CancelScope | AsyncioScope) -> None:
        self._context.scopes = tuple(other for other in self._context.scopes if other is not scope)


class AsyncioScope:
    """A block of an asyncio task that can be cancelled, and goes on behind it: `asyncio.timeout` without the time.

    Attributes:
        cancel_called: whether the block was told to end.
        cancelled_caught: whether it was cut short by that.
    """

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._cancels_before = task.cancelling()
        self._left = False
        self.cancel_called = False
        self.cancelled_caught = False

    def cancel(self) -> None:
        """End the block at what it waits for, or will wait for next."""
        if not self.cancel_called and not self._left:
            self.cancel_called = True
            self._task.cancel()

    async def leave(self, kind: type[BaseException] | None) -> bool:
        """Whether the block ends with *kind* because this scope was cancelled."""
        import asyncio

        self._left = True
        if not self.cancel_called:
            return False
        if kind is None:
            await self._take_the_cancel()
            return False
        others = self._task.uncancel() > self._cancels_before
        self.cancelled_caught = not others and issubclass(kind, asyncio.CancelledError)
        return self.cancelled_caught

    async def _take_the_cancel(self) -> None:
        """One that found nothing to interrupt would strike what comes after the block."""
        import asyncio

        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._task.uncancel() > self._cancels_before:
                raise


def _asyncio_task() -> asyncio.Task[Any] | None:
    """The asyncio task that runs here. Whoever runs one has imported asyncio; others need not pay for that."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.current_task()
    except RuntimeError:
        return None

"""The resources that handlers share: opened in order before the first attempt, closed in reverse after the last."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, Final

import trio
from trio.lowlevel import enable_ki_protection

from ..core.errors import ActorsError, InvalidOption, SystemFailed
from ..execution.resources import WANTED, Factory, Resources

logger = logging.getLogger("actors.system")

CLOSE_WITHIN: Final = 4.25
"""Seconds after the end of the grace time, at which resources that are still open are cancelled."""
LAST_WORD: Final = 0.25
"""Seconds that they have then."""


class Shared:
    """Holds the context managers of one node in a trio task of its own.

    They may have cancel scopes and nurseries inside, which want to be entered and left in one task and in order. The
    task of the block of `running()` would do, were it not for the stop: what cancels the block would cancel them at
    once, while attempts have their grace time; what fails in them would come out of the block as a group; and the
    block could not be left without one that does not close. So it is a system task, like those of attempts.

    Attributes:
        values: what is open, as handlers see it.
    """

    def __init__(self, factories: Mapping[str, Factory]) -> None:
        self._factories = factories
        self._values: dict[str, Any] = {}
        self.values = Resources(self._values)
        self._ready, self._closing, self._over = trio.Event(), trio.Event(), trio.Event()
        self._entered: list[str] = []
        self._failure: ActorsError | None = None
        self._task = trio.CancelScope()
        self._block = trio.CancelScope()
        self._leaving: trio.CancelScope | None = None

    @asynccontextmanager
    @enable_ki_protection  # Ctrl-C belongs to the block; see `kernel.supervise`
    async def opened(self, close_by: Callable[[], float]) -> AsyncIterator[None]:
        """Open all before the block and close all after it. The block is cancelled if one fails meanwhile.

        Args:
            close_by: until when they have to be closed, on trio's clock; asked at the end of the block.

        Raises:
            SystemFailed: one could not be opened, or failed while it was in use.
            InvalidOption: a factory gave no context manager.
        """
        if not self._factories:
            yield
            return
        trio.lowlevel.spawn_system_task(self._hold, name="resources", context=contextvars.copy_context())
        try:
            await self._ready.wait()
            if self._failure is None:
                with self._block:
                    yield
        finally:
            await self._close(close_by())
        if self._failure is not None:
            raise self._failure

    async def _hold(self) -> None:
        try:
            with self._task:
                await self._nest(list(self._factories.items()))
        finally:
            self._ready.set()
            self._over.set()

    async def _nest(self, left: Sequence[tuple[str, Factory]]) -> None:
        """Open the first of *left*, the others inside of it, and wait for the end inside of them all."""
        if not left:
            self._ready.set()
            await self._closing.wait()
            return
        (name, factory), *rest = left
        self._entered.append(name)
        try:
            async with self._managed(name, factory) as self._values[name]:
                await self._nest(rest)
        except trio.Cancelled:
            raise
        except BaseException as error:  # also what is no Exception: it would end the whole program from here
            self._note(name, error)
        else:
            if not self._closing.is_set() and self._failure is None:
                self._fail(SystemFailed(f"the resource {name!r} ended by itself while it was in use"))
        finally:
            self._entered.remove(name)

    def _managed(self, name: str, factory: Factory) -> AbstractAsyncContextManager[Any]:
        given: object = factory()
        match given:
            case AbstractAsyncContextManager():
                return given
            case AbstractContextManager():
                return self._in_threads(given)
        raise InvalidOption(f"resource {name!r}: its factory gave {given!r:.80}; it should be {WANTED}")

    @asynccontextmanager
    async def _in_threads(self, manager: AbstractContextManager[Any]) -> AsyncIterator[Any]:
        """A plain context manager may block, so that it is entered and left in threads, not always the same.

        But always in one context, so that it may reset the variables that it has set.
        """
        within = contextvars.copy_context().run
        value = await trio.to_thread.run_sync(within, manager.__enter__)
        try:
            yield value
        finally:
            with trio.CancelScope(shield=True) as self._leaving:
                await trio.to_thread.run_sync(within, manager.__exit__, None, None, None, abandon_on_cancel=True)

    def _note(self, name: str, error: BaseException) -> None:
        what = f"{type(error).__name__}: {error}"
        if self._closing.is_set():
            logger.error("the resource %r raised while it was closed: %s", name, what, exc_info=error)
        elif isinstance(error, ActorsError):
            self._fail(error)
        else:
            words = "failed while it was in use" if self._ready.is_set() else "could not be opened"
            self._fail(SystemFailed(f"the resource {name!r} {words}: {what}"), error)

    def _fail(self, failure: ActorsError, cause: BaseException | None = None) -> None:
        logger.error("%s; the task system stops", failure, exc_info=cause or failure)
        if cause is not None:
            failure.__cause__ = cause
        self._failure = failure
        self._block.cancel()

    async def _close(self, close_by: float) -> None:
        """Have all closed. A Ctrl-C leaves them no more time than the last word, and goes on after that."""
        interrupt: KeyboardInterrupt | None = None
        self._closing.set()
        if not self._ready.is_set():
            self._task.cancel()
        self._task.deadline = close_by
        with trio.CancelScope(shield=True, deadline=close_by + LAST_WORD) as patience:
            while not self._over.is_set():
                try:
                    await self._over.wait()
                except KeyboardInterrupt as raised:
                    interrupt = raised
                    self._task.cancel()
                    patience.deadline = min(patience.deadline, trio.current_time() + LAST_WORD)
        if not self._over.is_set():
            self._leave_behind()
        if interrupt is not None:
            raise interrupt

    def _leave_behind(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        names = ", ".join(map(repr, reversed(self._entered)))
        logger.warning("these resources did not close in time, and are left behind: %s", names)

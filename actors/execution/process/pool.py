"""The child processes of a node: warm ones, and one that is started ahead."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from trio.lowlevel import enable_ki_protection

from ...core.errors import HandlerNotImportable, ProcessDied
from ...core.remote import MAIN
from ...core.task import ExecutionMode
from ..handler import Handler
from .child_process import ChildProcess, start_child
from .location import locate, script
from .outfit import Outfit
from .pace import BUDGET, Pace
from .queue import LAST_WAIT, Queue
from .weights import Weights
from .wire import handle_record

logger = logging.getLogger("actors.execution")

LOOK_EVERY: Final = BUDGET
"""Seconds between two looks for calls that keep others waiting, while there may be any."""


class Pool:
    """Children that any handler in process mode may run in.

    The life of each is a trio task, which buries it, in a nursery that is nobody's child: whatever cancels the service
    reaches the handlers through the stages of a shutdown.

    Args:
        handlers: of all modes.
        slots: how many should work at a time; so many are kept warm, beside the one that is ahead.
        calls_per_child: after so many it is replaced.
        outfit: what they are given beside their handlers.
        memory_limit: millions of bytes that the node may use with them; None: memory is not looked at.

    Attributes:
        pace: how long the handlers take.
        queue: what waits for a child, and what each does.

    Raises:
        HandlerNotImportable: a handler's name does not lead to it.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        slots: int,
        calls_per_child: int,
        outfit: Outfit | None = None,
        memory_limit: float | None = None,
    ) -> None:
        self._handlers = [handler for handler in handlers.values() if handler.mode is ExecutionMode.PROCESS]
        self._locations = [locate(handler.task_type, handler.function) for handler in self._handlers]
        self._slots = slots
        self._calls_per_child = calls_per_child
        self._outfit = outfit or Outfit()
        self._weights = Weights(memory_limit, slots)
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()
        self._starting = 0
        self._problem: Exception | None = None
        self._begun = trio.Event()
        self._watched = False
        self._nursery: trio.Nursery | None = None
        self._closing = trio.Event()
        self._closed = trio.Event()
        self.pace = Pace(handler.task_type for handler in self._handlers)
        self.queue = Queue(self, slots, self.pace)

    @property
    def children(self) -> list[ChildProcess]:
        """All that live, working or not."""
        return list(self._children)

    @asynccontextmanager
    @enable_ki_protection  # Ctrl-C belongs to the block; in here it would leave children behind
    async def running(self) -> AsyncIterator[None]:
        """Have children in the block, if any handler needs them; none is left after it.

        Raises:
            HandlerNotImportable, ProcessDied, OSError: the first child, which is waited for, could not begin.
        """
        if not self._handlers:
            yield
            return
        opened = trio.Event()
        trio.lowlevel.spawn_system_task(self._keep, opened)
        try:
            await opened.wait()
            await self._begin()
            yield
        finally:
            with trio.CancelScope(shield=True):
                await self._close()

    def give_back(self, child: ChildProcess) -> None:
        """It does nothing any more."""
        if self.calls_left(child) <= 0:
            self._retire(child)
        elif not child.gone.is_set():
            self._offer(child)

    def calls_left(self, child: ChildProcess) -> int:
        """How many more it may be given."""
        return 0 if self._weights.is_too_heavy(child) else self._calls_per_child - child.calls

    def relieve(self, excess: float, sizes: Mapping[int, float]) -> None:
        """Let children go, so that *excess* MB come free: idle ones at once, then others after their calls.

        Args:
            sizes: of each child's process group, by its pid, in MB.
        """
        for child in self._weights.condemn(excess, sizes, list(self._idle)):
            if child in self._idle:
                self._idle.remove(child)
                self._retire(child)

    def dismiss(self) -> None:
        """Let idle children end in order: nobody will call them."""
        while self._idle:
            self._retire(self._idle.pop())

    def idle_one(self) -> ChildProcess | None:
        """The child that worked last, or the next that is ready; it is the caller's now."""
        while self._idle:
            if (child := self._idle.pop()).is_alive:
                return child
        return None

    def _offer(self, child: ChildProcess) -> None:
        """It can be called."""
        if len(self._idle) > self._slots and not self.queue.waiting:
            self._retire(child)
        else:
            self._idle.append(child)

    def provide(self) -> None:
        """Start a child for each that is waited for, and one ahead; and watch over those who wait behind others."""
        if self._nursery is None or self._closing.is_set():
            return
        while self._starting + len(self._idle) <= self.queue.waiting:
            self._starting += 1
            self._nursery.start_soon(self._live)
        if not self._watched and self.queue.is_deep:
            self._watched = True
            self._nursery.start_soon(self._watch)

    def soon(self, function: Callable[[], None]) -> None:
        """Have it called in the next turn of the event loop."""
        if self._nursery is not None:
            self._nursery.start_soon(_call, function)

    async def _watch(self) -> None:
        while self.queue.is_deep and not self._closing.is_set():
            await trio.sleep(LOOK_EVERY)
            self.queue.relieve(starting=self._starting > 0)
        self._watched = False

    async def _begin(self) -> None:
        """Wait for the first child, whose imports show whether there can be any.

        Raises:
            HandlerNotImportable, ProcessDied, OSError: there cannot.
        """
        self.provide()
        await self._begun.wait()
        if self._problem is not None:
            raise self._problem

    async def _keep(self, opened: trio.Event) -> None:
        async with trio.open_nursery() as self._nursery:
            opened.set()
            await self._closing.wait()
        self._closed.set()

    async def _close(self) -> None:
        """Let idle children end in order, as those do that were retired before, and kill the others."""
        self._closing.set()
        self.dismiss()
        for child in self.children:
            if not child.is_leaving:
                child.kill()
        with trio.move_on_after(2 * LAST_WAIT):
            await self._closed.wait()

    def _retire(self, child: ChildProcess) -> None:
        """Have it end by itself, so that what it has registered for its exit is done; but not for long."""
        child.dismiss()
        if self._nursery is not None:
            self._nursery.start_soon(self._see_off, child)

    async def _see_off(self, child: ChildProcess) -> None:
        with trio.move_on_after(LAST_WAIT):
            await child.gone.wait()
        if not child.gone.is_set():
            logger.warning("process %d did not end within %g s, and is killed", child.pid, LAST_WAIT)
            child.kill()
            await child.gone.wait()
        for message in child.last_words():
            match message:
                case ["log", record]:
                    handle_record(record)

    async def _live(self) -> None:
        """The life of one child."""
        try:
            child = await start_child()
        except OSError as error:
            self._be_without(error)
            return
        self._children.add(child)
        if self._closing.is_set():
            child.kill()
        problem = await self._problem_of(child)
        if problem is None:
            self._starting -= 1
            self._weights.begin(child)
            self._offer(child)
            self._begun.set()
            self.queue.assign()
            await child.ended()
        left = await child.bury()
        self._children.discard(child)
        if child in self._idle:
            self._idle.remove(child)
        self.queue.bury(child, left)
        if problem is not None:
            self._be_without(problem)

    async def _problem_of(self, child: ChildProcess) -> Exception | None:
        """Prepare it for its work; what keeps it from that, if something does."""
        await child.send(self._preparation())
        while (message := await child.receive()) is not None:
            match message:
                case ["ready"]:
                    return None
                case ["unready", words]:
                    return HandlerNotImportable(words)
                case ["log", record]:
                    handle_record(record)
        return ProcessDied("a new process died while it imported the handlers' modules")

    def _be_without(self, problem: Exception) -> None:
        """A child could not begin: who waits for it is told, if nobody else's will do."""
        self._starting -= 1
        if not self._begun.is_set():
            self._problem = problem
            self._begun.set()
        elif self._starting < self.queue.waiting:
            self.queue.fail_one(problem)
        elif not self._closing.is_set():
            logger.warning("no process could be started ahead: %s", problem)

    def _preparation(self) -> dict[str, Any]:
        """What makes a child like this process."""
        handlers = zip(self._handlers, self._locations, strict=True)
        return {
            "path": sys.path,
            "argv": sys.argv,
            "main": self._main(),
            "levels": {name: logging.getLogger(name).getEffectiveLevel() for name in ("", "actors")},
            "handlers": [
                [handler.task_type, handler.takes_context, where.module, where.name, where.depth]
                for handler, where in handlers
            ],
            **self._outfit.packed(),
        }

    def _main(self) -> list[str | None] | None:
        """The script to be run once more, and its package, if a handler or a variable stands in it."""
        return script() if any(where.module == MAIN for where in [*self._locations, *self._outfit.variables]) else None


async def _call(function: Callable[[], None]) -> None:
    function()

"""The child processes of a node: warm ones, and one that is started ahead."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from trio.lowlevel import enable_ki_protection

from ..core.errors import HandlerNotImportable, ProcessDied
from ..core.remote import MAIN
from ..core.task import ExecutionMode
from .child_process import ChildProcess, start_child
from .handler import Handler
from .location import locate, main_file
from .wire import handle_record

logger = logging.getLogger("actors.execution")

LAST_WAIT: Final = 2.0
"""Seconds that a child gets to end in order."""


class Pool:
    """Children that any handler in process mode may run in.

    The life of each is a trio task, which buries it, in a nursery that is nobody's child: whatever cancels the service
    reaches the handlers through the stages of a shutdown.

    Args:
        handlers: of all modes.
        most_idle: how many are kept warm, beside the one that is ahead.
        calls_per_child: after so many it is replaced.

    Raises:
        HandlerNotImportable: a handler's name does not lead to it.
    """

    def __init__(self, handlers: Mapping[str, Handler], most_idle: int, calls_per_child: int) -> None:
        self._handlers = [handler for handler in handlers.values() if handler.mode is ExecutionMode.PROCESS]
        self._locations = [locate(handler.task_type, handler.function) for handler in self._handlers]
        self._most_idle = most_idle
        self._calls_per_child = calls_per_child
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()
        self._starting = 0
        self._waiting = 0
        self._problems: deque[Exception] = deque()
        self._begun = False
        self._news = trio.lowlevel.ParkingLot()
        self._nursery: trio.Nursery | None = None
        self._closing = trio.Event()
        self._closed = trio.Event()

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

    async def take(self) -> ChildProcess:
        """A child for one call: the one that worked last, or the next that is ready.

        Raises:
            HandlerNotImportable, ProcessDied, OSError: none could be started.
        """
        self._waiting += 1
        try:
            while (child := self._idle_one()) is None:
                self._provide()
                if self._problems:
                    raise self._problems.popleft()
                await self._news.park()
        finally:
            self._waiting -= 1
        self._provide()
        child.calls += 1
        return child

    def give_back(self, child: ChildProcess) -> None:
        """Its call is over, whatever became of it."""
        if self._is_worn_out(child):
            self._retire(child)
        elif not child.gone.is_set():
            self._offer(child)

    def _is_worn_out(self, child: ChildProcess) -> bool:
        return child.calls >= self._calls_per_child

    def _idle_one(self) -> ChildProcess | None:
        while self._idle:
            if (child := self._idle.pop()).is_alive:
                return child
        return None

    def _offer(self, child: ChildProcess) -> None:
        """It can be called."""
        if len(self._idle) > self._most_idle and not self._waiting:
            self._retire(child)
            return
        self._idle.append(child)
        self._news.unpark()

    def _provide(self) -> None:
        """Start a child for each that is waited for, and one ahead."""
        while self._nursery is not None and self._starting + len(self._idle) <= self._waiting:
            self._starting += 1
            self._nursery.start_soon(self._live)

    async def _begin(self) -> None:
        """Wait for the first child, whose imports show whether there can be any."""
        self._provide()
        while not self._idle:
            if self._problems:
                raise self._problems.popleft()
            await self._news.park()
        self._begun = True

    async def _keep(self, opened: trio.Event) -> None:
        async with trio.open_nursery() as self._nursery:
            opened.set()
            await self._closing.wait()
        self._closed.set()

    async def _close(self) -> None:
        """Let idle children end in order, and kill the others."""
        self._closing.set()
        for child in self.children:
            if child in self._idle:
                self._retire(child)
            else:
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
        child.kill()

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
            self._offer(child)
            await child.ended()
        await child.bury()
        self._children.discard(child)
        if child in self._idle:
            self._idle.remove(child)
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
        if self._starting < self._waiting or not self._begun:
            self._problems.append(problem)
            self._news.unpark()
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
        }

    def _main(self) -> list[str | None] | None:
        """The script to be run once more, and its package, if a handler stands in it."""
        if not any(where.module == MAIN for where in self._locations):
            return None
        return [main_file(), sys.modules[MAIN].__package__]

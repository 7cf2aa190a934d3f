"""Handlers that are asyncio coroutines: all on one asyncio loop, which trio-asyncio runs inside of trio's.

Importing this module imports trio-asyncio, which changes asyncio's event loop policy in the whole process. So it is
imported by a node that has such handlers, when it starts, and by nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

import trio

from ..core.control import StopRequested
from .context import TaskContext, here, log
from .faults import contained
from .whereabouts import ENTRANCES, Frames

with warnings.catch_warnings():  # it uses what asyncio loses in Python 3.14, and no user can do anything about that
    warnings.simplefilter("ignore", DeprecationWarning)
    import trio_asyncio

logger = logging.getLogger("actors.execution")

INSIST_SECONDS: Final = 1.0
"""asyncio delivers a cancel once, and a coroutine may swallow it; after this many seconds it is cancelled again."""
CLOSE_SECONDS: Final = 0.5
"""How long the end of the loop is waited for when the node stops; what its handlers were given is over by then."""

# Ctrl-C would break the loop, and everything on it, wherever it strikes in it; so trio gives it to the service's body.
# trio protects a system task from it, but not the tasks that are its children, in which trio-asyncio runs callbacks.
trio.lowlevel.enable_ki_protection(trio_asyncio.BaseTrioEventLoop._main_loop)
trio.lowlevel.enable_ki_protection(trio_asyncio.BaseTrioEventLoop._io_task)


class AsyncioLoop:
    """The asyncio loop of one node.

    It lives in a trio system task, as attempts do and for the same reason: a loop cannot be left while a coroutine
    on it ignores that it was cancelled, and leaving the node has a bound.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._ready = trio.Event()
        self._closing = trio.Event()
        self._over = trio.Event()
        self._waiting: set[trio.Event] = set()

    async def open(self) -> None:
        """Begin; returns when coroutines can run."""
        trio.lowlevel.spawn_system_task(self._serve, name="actors.asyncio")
        await self._ready.wait()

    async def close(self) -> None:
        """Cancel what is left on the loop, and end it; after `CLOSE_SECONDS` it is left behind."""
        self._closing.set()
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_SECONDS):
            await self._over.wait()
        if not self._over.is_set():
            left = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self._loop)))
            logger.warning("asyncio tasks ignore that they were cancelled, and are left behind: %s", left)

    async def run(self, function: Callable[[], Coroutine[Any, Any, Any]], context: TaskContext) -> Any:
        """What the coroutine of *function* returns. A cancel is its hard stage: it is cancelled until it ends.

        Raises:
            StopRequested: it ended as cancelled after its soft stage, of its own will.
        """
        await self._ready.wait()
        trio_asyncio.current_loop.set(self._loop)  # in the attempt's own context, for `trio_as_aio` in the handler
        task = self._loop.create_task(function(), name=context.task_type)
        ended = self._end_of(task)
        try:
            await ended.wait()
        except trio.Cancelled:
            await _insist(task, ended)
            if task.cancelled():
                raise
        if not task.done():
            raise RuntimeError("the asyncio loop was ended under the handler")
        try:
            return task.result()
        except asyncio.CancelledError as error:
            if context.stopping is not None:
                raise StopRequested(context.stopping) from error
            raise RuntimeError("the handler raised asyncio.CancelledError, and nobody had asked it to stop") from error

    def frames(self, context: TaskContext) -> Frames:
        """Where the tasks of an attempt wait; in the event loop."""
        coroutines = [task.get_coro() for task in asyncio.all_tasks(self._loop)]
        return [
            step
            for coroutine in coroutines
            if isinstance(coroutine, Contained) and coroutine.context is context
            for step in coroutine.frames()
        ]

    def on_turn(self) -> TaskContext | None:
        """The attempt whose task runs on the loop at this moment; in any thread."""
        task = asyncio.current_task(self._loop)
        coroutine = None if task is None else task.get_coro()
        return coroutine.context if isinstance(coroutine, Contained) else None

    def _end_of(self, task: asyncio.Task[Any]) -> trio.Event:
        """An event for the end of *task*, or of the loop."""
        ended = trio.Event()
        self._waiting.add(ended)

        def end(_: object) -> None:
            self._waiting.discard(ended)
            ended.set()

        task.add_done_callback(end)
        return ended

    async def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                await self._be_open()
            except BaseException as error:  # it would end the whole program: this is a system task
                logger.critical("the asyncio loop was ended from inside; another one is opened", exc_info=error)
                with trio.move_on_after(INSIST_SECONDS):
                    await self._closing.wait()
        self._over.set()

    async def _be_open(self) -> None:
        async with trio_asyncio.open_loop() as loop:
            loop.set_exception_handler(_report)
            loop.set_task_factory(_task)
            self._loop = loop
            self._ready.set()
            try:
                await self._closing.wait()
                await self._cancel_all()
            finally:
                if not loop.is_running():
                    self._lose()

    async def _cancel_all(self) -> None:
        """Cancel what is on the loop, again and again. Shielded: the end of `trio.run` does not make it end sooner."""
        with trio.CancelScope(shield=True):
            while self._loop.is_running() and (tasks := asyncio.all_tasks(self._loop)):
                ends = [self._end_of(task) for task in tasks]
                for task in tasks:
                    task.cancel()
                with trio.move_on_after(INSIST_SECONDS):
                    for ended in ends:
                        await ended.wait()

    def _lose(self) -> None:
        """The loop has ended under its tasks, which will run no more: nobody should wait for them."""
        self._ready = trio.Event()
        for task in asyncio.all_tasks(self._loop):
            asyncio.tasks._unregister_task(task)
        for ended in self._waiting:
            ended.set()
        self._waiting.clear()


async def _insist(task: asyncio.Task[Any], ended: trio.Event) -> None:
    with trio.CancelScope(shield=True):
        while not ended.is_set():
            task.cancel()
            with trio.move_on_after(INSIST_SECONDS):
                await ended.wait()


def _report(_: object, fault: dict[str, Any]) -> None:
    """Log what asyncio has nobody to tell: trio-asyncio would end the loop, and the program with it."""
    log.error("asyncio: %s", fault.get("message", "unhandled error"), exc_info=fault.get("exception"))


def _task(loop: asyncio.AbstractEventLoop, coroutine: Any, **given: Any) -> asyncio.Task[Any]:
    """A task that cannot end the loop."""
    return asyncio.Task(Contained(coroutine), loop=loop, **given)


class Contained(Coroutine[Any, Any, Any]):
    """A coroutine whose `sys.exit()` is an error of its own task. asyncio would let it out of the loop.

    Attributes:
        context: the attempt that it belongs to, if it does to one.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.context = here()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_frame and the like: asyncio shows them

    def frames(self) -> Frames:
        """Where it waits."""
        waiting: Any = self._coroutine
        while (frame := getattr(waiting, "cr_frame", None)) is not None:
            yield frame, frame.f_lineno
            waiting = waiting.cr_await

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on."""
        try:
            return self._coroutine.send(value)
        except (SystemExit, KeyboardInterrupt) as leaving:
            raise contained(leaving, "the handler") from leaving

    def throw(self, error: Any, *more: Any) -> Any:
        """Go on with an error."""
        try:
            return self._coroutine.throw(error, *more)
        except (SystemExit, KeyboardInterrupt) as leaving:
            raise contained(leaving, "the handler") from leaving

    def close(self) -> None:
        """Let go of it."""
        self._coroutine.close()


ENTRANCES.update((Contained.send.__code__, Contained.throw.__code__))

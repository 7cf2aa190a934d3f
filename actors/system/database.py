"""Two ways to run the store's functions: in threads of their own, or inline.

The writer thread has a timer of its own, so that leases are renewed while a handler blocks the event loop.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import trio

from ..kernel import Ask
from ..store.connection import Connection, Engine
from ..store.engine import make_engine
from ..store.faults import of_the_session, passing

logger = logging.getLogger("actors.system")

T = TypeVar("T")

Tick = Callable[[Connection], float]
"""Work of the writer's timer: returns the seconds until it is due again."""

BUSY_SECONDS = 0.5
"""How long SQLite itself waits for another process's lock; what waits longer is Storage, which can be stopped."""
PAUSE_AFTER_FAULT = 0.5
"""Seconds until a timer that failed is tried again."""


class Database(Protocol):
    """What Storage needs of a database."""

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """Run *operation* in one transaction. A cancel ends the waiting; the transaction comes to its end."""

    def read(self, ask: Ask[Any], query: Callable[[Connection], Any]) -> None:
        """Run *query* beside the writer, and answer *ask*."""

    async def close(self) -> None:
        """Finish what was begun, and let go of the connections."""


class InlineDatabase:
    """In the caller's own thread: deterministic, for a database in memory."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self._connection = self._engine.connect()

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """See `Database`."""
        await trio.lowlevel.checkpoint()
        with self._connection.begin():
            return operation(self._connection)

    def read(self, ask: Ask[Any], query: Callable[[Connection], Any]) -> None:
        """See `Database`."""
        try:
            with self._connection.begin():
                ask.answer(query(self._connection))
        except Exception as error:
            ask.fail(error)

    async def close(self) -> None:
        """See `Database`."""
        self._connection.close()
        self._engine.dispose()
        await trio.lowlevel.checkpoint()


class ThreadedDatabase:
    """A writer thread and a reader thread, each with one connection."""

    def __init__(self, url: str) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._writer = ConnectionThread("actors-writer", make_engine(url, busy_seconds=BUSY_SECONDS))
        self._reader = ConnectionThread("actors-reader", make_engine(url, read_only=True, busy_seconds=BUSY_SECONDS))

    def every(self, tick: Tick) -> None:
        """Have *tick* run by the writer's timer, from now on."""
        self._writer.every(tick)

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """See `Database`."""
        answer: Ask[T] = Ask()
        self._writer.put(operation, self._deliver(answer))
        return await answer.reply.wait()

    def read(self, ask: Ask[Any], query: Callable[[Connection], Any]) -> None:
        """See `Database`."""
        self._reader.put(query, self._deliver(ask))

    def _deliver(self, ask: Ask[Any]) -> Callable[[Any, BaseException | None], None]:
        def deliver(value: Any, error: BaseException | None) -> None:
            if error is None:
                self._token.run_sync_soon(ask.answer, value)
            else:
                self._token.run_sync_soon(ask.fail, error)

        return deliver

    async def close(self) -> None:
        """See `Database`."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._writer.close)
            await trio.to_thread.run_sync(self._reader.close)


class ConnectionThread:
    """One thread, one connection, one operation at a time, each in a transaction; and timers in between."""

    def __init__(self, name: str, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[tuple[Callable[[Connection], Any], Callable[..., None]] | None]
        self._jobs = queue.SimpleQueue()
        self._timers: list[tuple[float, Tick]] = []
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def put(self, operation: Callable[[Connection], Any], deliver: Callable[[Any, BaseException | None], None]) -> None:
        """Have *operation* run, and *deliver* called in the thread with its value or its error."""
        self._jobs.put((operation, deliver))

    def every(self, tick: Tick) -> None:
        """Run *tick* between the operations, now and whenever it is due again."""
        self.put(lambda _: self._timers.append((0.0, tick)), lambda *_: None)

    def close(self) -> None:
        """Finish the jobs that were put, then end; waits for that."""
        self._jobs.put(None)
        self._thread.join()
        self._engine.dispose()

    def _serve(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._run_due_timers())
            except queue.Empty:
                continue
            if job is None:
                break
            operation, deliver = job
            try:
                value = self._in_transaction(operation)
            except Exception as error:  # it belongs to the asker; this thread goes on
                deliver(None, error)
            else:
                deliver(value, None)
        if self._connection is not None:
            self._connection.close()

    def _in_transaction(self, operation: Callable[[Connection], T]) -> T:
        connection = self._connected()
        try:
            with connection.begin():
                return operation(connection)
        except Exception as error:
            self._leave_if_useless(error)
            raise

    def _leave_if_useless(self, error: Exception) -> None:
        if self._connection is not None and of_the_session(error):
            self._connection.invalidate(error)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.invalidated:
            self._connection = self._engine.connect()
        return self._connection

    def _run_due_timers(self) -> float | None:
        """Run the timers that are due; the seconds until the next one."""
        if not self._timers:
            return None
        self._timers = [(self._tick(tick) if due <= time.monotonic() else due, tick) for due, tick in self._timers]
        return max(0.0, min(due for due, _ in self._timers) - time.monotonic())

    def _tick(self, tick: Tick) -> float:
        """Run one timer; when it is due again."""
        try:
            pause = tick(self._connected())
        except Exception as error:
            self._leave_if_useless(error)
            reason = passing(error)
            words = "a timer of the thread %s failed; it is tried again: %s"
            logger.warning(words, self._thread.name, reason or error, exc_info=reason is None)
            pause = PAUSE_AFTER_FAULT
        return time.monotonic() + pause

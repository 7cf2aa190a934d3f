"""Handlers that are plain functions, each in a thread of trio's pool.

A thread cannot be killed. One that does not look at `ctx.check()` is left behind at the hard stage: its outcome
is recorded without it, whatever it still returns is dropped, and it counts as stuck until it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import trio

from .whereabouts import ENTRANCES


class ThreadCall:
    """One call in a thread that can be left behind.

    Attributes:
        ident: that of the thread, once it has begun.
    """

    __slots__ = ("_begun", "_call", "_ended", "_left", "_lock", "_on_late_end", "_token", "ident")

    def __init__(self, call: Callable[[], Any], on_late_end: Callable[[], None]) -> None:
        self._call = call
        self._on_late_end = on_late_end
        self._token = trio.lowlevel.current_trio_token()
        self._lock = threading.Lock()
        self._begun = self._left = self._ended = False
        self.ident: int | None = None

    async def run(self, limiter: trio.CapacityLimiter) -> Any:
        """The function's result; a cancel leaves the thread behind, if it has begun."""
        try:
            return await trio.to_thread.run_sync(self._in_thread, abandon_on_cancel=True, limiter=limiter)
        finally:
            with self._lock:
                self._left = True

    @property
    def goes_on(self) -> bool:
        """Whether the thread still runs, though nobody waits for it."""
        return self._begun and self._left and not self._ended

    def _in_thread(self) -> Any:
        if not self._begin():
            return None
        try:
            return self._call()
        finally:
            with self._lock:
                self._ended = True
                late = self._left
            if late:
                self._tell_the_loop()

    def _begin(self) -> bool:
        """Whether someone still waits; if not, nobody counts this thread either, and it must do nothing."""
        with self._lock:
            self._begun = not self._left
            self.ident = threading.get_ident()
            return self._begun

    def _tell_the_loop(self) -> None:
        try:
            self._token.run_sync_soon(self._on_late_end)
        except trio.RunFinishedError:
            return  # the service is gone, and with it whoever counted this thread


ENTRANCES.add(ThreadCall._in_thread.__code__)

"""How long Storage tries what the database does not take."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from ..core.errors import StorageUnavailable
from ..store.faults import passing
from .running import LAST_WAIT, Running

logger = logging.getLogger("actors.system")

PATIENCE: Final = 10.0
"""Seconds for which a write that cannot be done now is tried again, before its asker hears of it."""
FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 1.0


class Patience:
    """Tries again while a fault may pass; not for long when the system stops.

    Args:
        seconds: how long.

    Attributes:
        unsure: a transaction failed so that it may have been committed all the same; whoever has made sure resets it.
    """

    def __init__(self, running: Running, seconds: float = PATIENCE) -> None:
        self.unsure = False
        self._running = running
        self._seconds = seconds
        self._given_up: str | None = None  # why nothing is tried any more, past the end of a stop's time

    async def have(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Make *attempt* until it succeeds.

        Raises:
            StorageUnavailable: its fault did not pass in time.
            Exception: it is of a kind that does not pass.
        """
        if self._given_up is not None:
            raise unavailable(self._given_up, LAST_WAIT)
        begun, pause = trio.current_time(), FIRST_PAUSE
        while True:
            try:
                await attempt()
                return
            except Exception as error:
                self.unsure = True
                reason = passing(error)
                if reason is None:
                    raise
                if trio.current_time() >= self._give_up_at(begun):
                    self._given_up = reason if self._is_late else None
                    raise unavailable(reason, trio.current_time() - begun) from error
                logger.warning("the database does not answer: %s; tried again in %.2g s", reason, pause)
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _give_up_at(self, begun: float) -> float:
        give_up_at = begun + self._seconds
        stop_at = self._running.stop_at
        return give_up_at if stop_at is None else min(give_up_at, stop_at + LAST_WAIT)

    @property
    def _is_late(self) -> bool:
        """Whether a stop has no time left for a database that does not answer."""
        stop_at = self._running.stop_at
        return stop_at is not None and trio.current_time() >= stop_at + LAST_WAIT


def unavailable(reason: str, patience: float) -> StorageUnavailable:
    """The error for a write that was given up."""
    return StorageUnavailable(
        f"the database took no writes for {patience:g} s: {reason}; nothing was stored, and it may be tried again"
    )

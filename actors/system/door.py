"""The way to Storage for those who are no actors: the kernel's errors become the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio

from ..core.errors import ActorsError, NotRunning, StorageUnavailable
from ..kernel import ActorCrashed, ActorStopped, Ask, Handle
from ..store.connection import Connection
from ..store.faults import passing
from .messages import Read, StorageMessage
from .patience import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE

R = TypeVar("R")

STOPPED: Final = "the task system has stopped; what was not acknowledged is not stored"


class Door:
    """Asks Storage."""

    def __init__(self, storage: Handle[StorageMessage]) -> None:
        self._storage = storage

    async def ask(self, message: Ask[R]) -> R:
        """The answer to *message*.

        Raises:
            NotRunning: the task system has stopped.
            StorageUnavailable: Storage failed on it.
        """
        try:
            return await self._storage.ask(message)
        except ActorStopped:
            raise NotRunning(STOPPED) from None
        except ActorCrashed as error:
            raise StorageUnavailable(
                "storage failed while it worked on this, and was restarted; it may be tried again"
            ) from error

    async def read(self, query: Callable[[Connection], R]) -> R:
        """What *query* returns on the reader's connection; asked again while a fault may pass.

        Raises:
            StorageUnavailable: it did not pass in time.
        """
        begun, pause = trio.current_time(), FIRST_PAUSE
        while True:
            try:
                found: R = await self.ask(Read(query))
                return found
            except ActorsError:
                raise
            except Exception as error:
                reason, waited = passing(error), trio.current_time() - begun
                if reason is None:
                    raise
                if waited >= PATIENCE:
                    words = f"the database answered nothing for {waited:.3g} s: {reason}; it may be asked again"
                    raise StorageUnavailable(words) from error
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

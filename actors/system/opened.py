"""What opening a database comes to, whichever it is; and what both ways have in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import attrs
import trio

from ..core.errors import ActorsError, StorageUnavailable
from ..store import nodes
from ..store.connection import Connection
from ..store.engine import shown
from ..store.faults import passing, refusal, told
from .clock import Clock
from .database import Database
from .heart import BEAT_SECONDS
from .recorder import Recorder
from .server import BEAT_SECONDS as SERVER_BEAT_SECONDS
from .server import Server
from .transaction import Transaction

logger = logging.getLogger("actors.system")

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds for which a fault that may pass is waited out when the database is opened."""
PAUSE: Final = 0.1


@attrs.frozen
class Opened:
    """An open database, and what was found in it.

    Attributes:
        recovery: the transaction that took back what a dead node ran.
        server: this node's place among those of a server; None for a file or memory, which have one working node.
    """

    database: Database
    recorder: Recorder
    clock: Clock
    recovery: Transaction | None = None
    server: Server | None = None

    @property
    def time(self) -> Callable[[], float]:
        """What the node's heart goes by, in epoch seconds, in the writer's thread."""
        return time.time if self.server is None else self.server.time.read

    @property
    def beat_seconds(self) -> float:
        """How often it beats at least: more often where others watch it."""
        return BEAT_SECONDS if self.server is None else SERVER_BEAT_SECONDS


async def patiently(url: str, database: Database, operation: Callable[[Connection], T]) -> T:
    """Run *operation*; wait a while for a fault that may pass, such as another process that holds the write lock.

    Raises:
        StorageUnavailable: the fault did not pass, or is of a kind that does not.
    """
    give_up_at = trio.current_time() + PATIENCE
    while True:
        try:
            return await database.write(operation)
        except ActorsError:
            raise
        except Exception as error:
            if refusal(error) or not passing(error) or trio.current_time() >= give_up_at:
                raise StorageUnavailable(f"the database {shown(url)} could not be opened: {told(error)}") from error
        await trio.sleep(PAUSE)


async def leave(database: Database, node: str) -> None:
    """Take the node's row out, so that nobody takes it for one that lives. If it stays, its lease will run out."""
    with trio.CancelScope(shield=True):
        try:
            await database.write(partial(nodes.leave, node=node))
        except Exception as error:
            logger.warning("node %s stays in the list until its lease ends: %s", node, error)

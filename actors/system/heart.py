"""The writer thread's timers: the node's lease, and the look-out for what other processes write."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

import trio

from ..store import nodes
from ..store.connection import Connection
from ..store.outside import data_version
from .running import ignore

logger = logging.getLogger("actors.system")

BEAT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.05
POLL_SECONDS: Final = 0.5
SELDOM_SECONDS: Final = 2.0
"""From one look to the next where news are heard: the price of one that was lost."""
JUMP_SECONDS: Final = 1.0


class Heart:
    """Renews the leases of all that the node runs with one row, from the writer's own thread.

    So they are renewed while the event loop is blocked. A snapshot of the node goes along with it; it is made in the
    loop between two beats, so that it is up to two beats old, and says how old.

    Args:
        describe: makes the snapshot, JSON text; called in the event loop.
        every: seconds from one beat to the next, at most.

    Attributes:
        missed: called in the event loop when the node's row is gone, and with it the leases; a node that only submits
            has none.
    """

    def __init__(
        self,
        node: str,
        lease_seconds: float,
        wall: Callable[[], float],
        describe: Callable[[], str],
        every: float = BEAT_SECONDS,
    ) -> None:
        self._node = node
        self._lease = lease_seconds
        self._wall = wall
        self._describe = describe
        self._every = min(every, lease_seconds / 3)
        self.missed: Callable[[], object] = ignore
        self._token = trio.lowlevel.current_trio_token()
        self.snapshot: str | None = None
        self.beat_at = 0.0
        """When the lease was last renewed, in epoch seconds."""

    def look(self) -> None:
        """Make a new snapshot; to be called in the event loop, which an error must not leave."""
        try:
            self.snapshot = self._describe()
        except Exception:
            logger.warning("this node could not be described; others see it as it was before", exc_info=True)

    def tick(self, connection: Connection) -> float:
        """Renew; seconds until the next time."""
        now = self._wall()
        there = nodes.renew(connection, self._node, now, now + self._lease, self.snapshot)
        self.beat_at = now
        self._token.run_sync_soon(self.look, idempotent=True)
        if not there:
            self._token.run_sync_soon(self.missed, idempotent=True)
        return self._every


class Poll:
    """Has the database looked at twice a second, where nothing tells that another process has written.

    Args:
        told: whether something tells of it now, so that a look now and then will do.
        monotonic: seconds.
    """

    def __init__(
        self,
        look: Callable[[], object],
        told: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._told = told
        self._monotonic = monotonic
        self._looked_at = -math.inf
        self._token = trio.lowlevel.current_trio_token()

    def tick(self, _: Connection) -> float:
        """Have it looked at, if it is time; seconds until the next time."""
        now = self._monotonic()
        if not self._told() or now - self._looked_at >= SELDOM_SECONDS:
            self._looked_at = now
            self._token.run_sync_soon(self._look, idempotent=True)
        return POLL_SECONDS


class LookOut:
    """Notices other processes' commits on the SQLite file within 50 ms, and that the wall clock has stepped forward.

    The first look is told too: something may have been written since the node first read the file.
    """

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._token = trio.lowlevel.current_trio_token()
        self._seen: int | None = None
        self._ahead = time.time() - time.monotonic()

    def tick(self, connection: Connection) -> float:
        """Look; seconds until the next time."""
        version, ahead = data_version(connection), time.time() - time.monotonic()
        if version != self._seen or ahead > self._ahead + JUMP_SECONDS:
            self._token.run_sync_soon(self._look, idempotent=True)
        self._seen, self._ahead = version, ahead
        return LOOK_SECONDS

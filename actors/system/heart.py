"""The writer thread's timers: the node's lease, and the look-out for what other processes write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

from ..store import leases
from ..store.connection import Connection
from ..store.outside import data_version

BEAT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.05
JUMP_SECONDS: Final = 1.0


class Heart:
    """Renews the leases of all that the node runs with one row, from the writer's own thread.

    So they are renewed while the event loop is blocked. The snapshot, JSON text, is stored along with it.
    """

    def __init__(self, node: str, lease_seconds: float, wall: Callable[[], float]) -> None:
        self._node = node
        self._lease = lease_seconds
        self._wall = wall
        self.snapshot: str | None = None
        self.beat_at = 0.0
        """When the lease was last renewed, in epoch seconds."""

    def tick(self, connection: Connection) -> float:
        """Renew; seconds until the next time."""
        now = self._wall()
        with connection.begin():
            leases.renew(connection, self._node, now, now + self._lease, self.snapshot)
        self.beat_at = now
        return min(BEAT_SECONDS, self._lease / 3)


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

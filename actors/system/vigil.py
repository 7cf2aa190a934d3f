"""Which of the other nodes are dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import trio

from ..store import nodes, server
from ..store.connection import Connection

LOOK_SECONDS: Final = 0.2
SILENT_SECONDS: Final = 2.0
"""For how long a node's heart has to be still before it may count as dead: four beats."""


@attrs.frozen
class Dead:
    """A node that is dead, as its last heartbeat showed it.

    Attributes:
        crashed: its session ended too, as that of a process that dies does; False: its lease has run out, and nobody
            knows why.
    """

    node: str
    heartbeat_at: float
    crashed: bool


@attrs.define
class _Seen:
    """A heartbeat, and for how many seconds it has been the last one."""

    heartbeat_at: float
    silence: float = 0.0


class Vigil:
    """Looks at the others' rows by the writer's timer, and tells of those that are dead.

    Dead is whose heart is still for two seconds *and* whose lock is free or whose lease is over. Neither alone proves
    it: a server that restarts frees everybody's locks, and while it is down no lease is renewed. So only that silence
    counts which was looked at, on one connection: while this process was stopped, or had no connection, none passes.

    Args:
        wall: the server's time, epoch seconds.
        tell: called in the event loop; again after as long, if the node is still there.
        monotonic: seconds.
    """

    def __init__(
        self,
        node: str,
        wall: Callable[[], float],
        tell: Callable[[Sequence[Dead]], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._wall = wall
        self._tell = tell
        self._monotonic = monotonic
        self._token = trio.lowlevel.current_trio_token()
        self._seen: dict[str, _Seen] = {}
        self._looked_at = 0.0
        self._on: Any = None  # the driver's connection

    def tick(self, connection: Connection) -> float:
        """Look; seconds until the next time."""
        with connection.begin():
            driver = connection.connection.driver_connection
            if driver is not self._on:
                self._on, self._seen = driver, {}
            silent = self._silent(nodes.peers(connection, self._node))
            dead = [found for peer in silent if (found := self._judged(connection, peer)) is not None]
        for found in dead:
            del self._seen[found.node]
        if dead:
            self._token.run_sync_soon(self._tell, dead)
        return LOOK_SECONDS

    def _silent(self, peers: Sequence[nodes.Peer]) -> list[nodes.Peer]:
        """Those of *peers* whose heart has been still for long enough."""
        now = self._monotonic()
        passed = min(now - self._looked_at, 2 * LOOK_SECONDS)
        self._looked_at = now
        before, self._seen = self._seen, {}
        for peer in peers:
            seen = before.get(peer.node)
            same = seen is not None and seen.heartbeat_at == peer.heartbeat_at
            self._seen[peer.node] = _Seen(peer.heartbeat_at, seen.silence + passed if same and seen else 0.0)
        return [peer for peer in peers if self._seen[peer.node].silence >= SILENT_SECONDS]

    def _judged(self, connection: Connection, peer: nodes.Peer) -> Dead | None:
        crashed = peer.lock_key is not None and server.is_free(connection, peer.lock_key)
        over = peer.lease_until < self._wall()
        return Dead(peer.node, peer.heartbeat_at, crashed) if crashed or over else None

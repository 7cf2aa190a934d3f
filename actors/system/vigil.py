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
LOOK_ALONE_SECONDS: Final = 0.5
"""The same while there is no other node; it has to be less than `MOST_BETWEEN`, and is seen after this."""
SILENT_SECONDS: Final = 2.0
"""For how long a node's heart has to be still before it may count as dead: four beats."""
MOST_BETWEEN: Final = 0.8
"""What may pass of it from one look to the next: a busy machine is late, one that was stopped has seen nothing."""
AGAIN_SECONDS: Final = 1.0
"""After which a dead node that is still there is told of again."""


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
    """A heartbeat, for how many seconds it has been the last one, and what that means.

    Attributes:
        crashed: see `Dead`; once it is known it stays, since the lock of one whose lease was over is free afterwards.
    """

    heartbeat_at: float
    silence: float = 0.0
    crashed: bool | None = None


class Vigil:
    """Looks at the others' rows by the writer's timer, and tells of those that are dead.

    Dead is whose heart is still for two seconds *and* whose lock is free or whose lease is over. Neither alone proves
    it: a server that restarts frees everybody's locks, and while it is down no lease is renewed. So only that silence
    counts which was looked at, on one connection: while this process was stopped, or had no connection, none passes.

    Args:
        wall: the server's time, epoch seconds.
        tell: called in the event loop; again after a second, if the node is still there.
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
        driver = connection.connection.driver_connection
        if driver is not self._on:
            self._on, self._seen = driver, {}
        if silent := self._silent(nodes.peers(connection, self._node)):
            with connection.begin():
                dead = [found for peer in silent if (found := self._judged(connection, peer)) is not None]
            self._report(dead)
        return LOOK_SECONDS if self._seen else LOOK_ALONE_SECONDS

    def _report(self, dead: Sequence[Dead]) -> None:
        for found in dead:
            self._seen[found.node].silence = SILENT_SECONDS - AGAIN_SECONDS
        if dead:
            self._token.run_sync_soon(self._tell, dead)

    def _silent(self, peers: Sequence[nodes.Peer]) -> list[nodes.Peer]:
        """Those of *peers* whose heart has been still for long enough."""
        now = self._monotonic()
        passed = min(now - self._looked_at, MOST_BETWEEN)
        self._looked_at = now
        before, self._seen = self._seen, {}
        for peer in peers:
            seen = before.get(peer.node)
            if seen is None or seen.heartbeat_at != peer.heartbeat_at:
                seen = _Seen(peer.heartbeat_at)
            else:
                seen.silence += passed
            self._seen[peer.node] = seen
        return [peer for peer in peers if self._seen[peer.node].silence >= SILENT_SECONDS]

    def _judged(self, connection: Connection, peer: nodes.Peer) -> Dead | None:
        """Whether *peer* is dead. Whose lease is over loses its session too: what it had under way keeps its rows."""
        seen, key = self._seen[peer.node], peer.lock_key
        if seen.crashed is None and key is not None and server.is_free(connection, key):
            seen.crashed = True
        elif seen.crashed is None and peer.lease_until < self._wall():
            seen.crashed = False
        if seen.crashed is False and key is not None:
            server.end_session(connection, key)
        return None if seen.crashed is None else Dead(peer.node, peer.heartbeat_at, seen.crashed)

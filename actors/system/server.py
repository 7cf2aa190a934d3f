"""A node's place at a PostgreSQL server, which it shares with others: the server's time, and a lock while it lives."""

from __future__ import annotations

import logging
import random
from typing import Any, Final

from ..store import leases, nodes, schema, server
from ..store.connection import Connection
from .clock import ServerTime

logger = logging.getLogger("actors.system")

BEAT_SECONDS: Final = 0.5
"""From one heartbeat to the next; short beside the silence after which a node whose lock is free counts as dead."""
SHARDS: Final = 64
"""Sets of counter rows. Nodes that add to the same rows would wait for each other's commits."""


class Server:
    """Owned by the writer's thread, but for what never changes.

    Attributes:
        time: the server's.
        lock_key: of the advisory lock that the writer's session holds; nobody else draws the same.
        leases_alone: whether locks mean nothing, since a pooler stands in between.
        shard: whose counter rows this node adds to.
    """

    def __init__(self, node: str, lease: float) -> None:
        self.node = node
        self.lease = lease
        self.time = ServerTime()
        self.lock_key = random.SystemRandom().getrandbits(63)
        self.leases_alone = False
        self.shard = f"node-{self.lock_key % SHARDS}"
        self._locked: Any = None  # the driver's connection whose session holds the lock, or was found to be alone

    def enter(self, connection: Connection, *, work: bool, create: bool) -> None:
        """See that the tables are there and of this version, and make this node known.

        Args:
            create: make the tables if there are none.

        Raises:
            SchemaMismatch: there are none, or they are of another version.
        """
        if not create:
            schema.be_there(connection)
        schema.create(connection)
        self.look(connection)
        if work:
            self.register(connection)

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier session may still be at work on what it was told last, though nobody hears of it."""
        return self._locked is None

    def register(self, connection: Connection) -> None:
        """Make this node known, or known again after others took it for dead."""
        key = None if self.leases_alone else self.lock_key
        now = self.time.read()
        nodes.register(connection, self.node, now, now + self.lease, working=True, lock_key=key)

    def rejoin(self, connection: Connection) -> set[tuple[int, int]]:
        """Make this node known again; (seq, attempt) of what is still its own."""
        self.register(connection)
        return set(leases.held_by(connection, self.node))

    def present(self, connection: Connection) -> bool:
        """Whether this node counts as alive, and will until the end of this transaction: then it may claim."""
        return nodes.present(connection, self.node)

    def look(self, connection: Connection) -> None:
        """Look at the server's clock; hold the lock again if the session is a new one."""
        self.time.look(server.now(connection))
        driver = connection.connection.driver_connection
        if driver is not self._locked:
            self.leases_alone = self.leases_alone or server.pooled(connection)
            self._locked = driver if self._is_alone(connection) else None

    def _is_alone(self, connection: Connection) -> bool:
        """Whether no earlier session of this node is at work any more.

        A server goes on with what it was told, claims and commit, though who has told it is gone; it may have to wait
        for others on its way.
        """
        if self.leases_alone:
            return not nodes.claims_elsewhere(connection, self.node)
        return server.lock(connection, self.lock_key)

    def tick(self, connection: Connection) -> float:
        """The same, by the writer's timer; seconds until the next time."""
        self.look(connection)
        return BEAT_SECONDS

"""Nodes: the row of each, what others see of it, and how a dead one is told from one that is silent."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from sqlalchemy import Connection, bindparam, delete, exists, literal_column, select, update

from ..core.node import NodeInfo
from .engine import insert_or_replace
from .prepared import Prepared
from .schema import node as nodes
from .schema import running, task

_COLUMNS = ("node", "started_at", "heartbeat_at", "lease_until", "working", "snapshot", "lock_key")

_register = Prepared(lambda dialect: insert_or_replace(nodes, _COLUMNS[1:], dialect), _COLUMNS)
_renew = Prepared(
    lambda _: (
        update(nodes)
        .where(nodes.c.node == bindparam("this"))
        .values(heartbeat_at=bindparam("now"), lease_until=bindparam("until"), snapshot=bindparam("json"))
    ),
    ("this", "now", "until", "json"),
)


@attrs.frozen
class Peer:
    """A working node as its row shows it to another one.

    Attributes:
        lock_key: of the advisory lock that it holds while it lives; None: its locks mean nothing.
    """

    node: str
    heartbeat_at: float
    lease_until: float
    lock_key: int | None


_peers = Prepared(
    lambda _: (
        select(*(nodes.c[field.name] for field in attrs.fields(Peer)))
        .where(nodes.c.working == literal_column("1"), nodes.c.node != bindparam("this"))
        .order_by(nodes.c.node)
    ),
    ("this",),
)
_present = Prepared(
    lambda _: select(nodes.c.node).where(nodes.c.node == bindparam("this")).with_for_update(read=True, key_share=True),
    ("this",),
)
_there = Prepared(lambda _: select(nodes.c.node).where(nodes.c.node == bindparam("this")), ("this",))
_free = Prepared(
    lambda _: select(nodes.c.node).where(nodes.c.node == bindparam("this")).with_for_update(skip_locked=True), ("this",)
)
_found_dead = Prepared(
    lambda _: (
        select(nodes.c.node)
        .where(nodes.c.node == bindparam("this"), nodes.c.heartbeat_at == bindparam("last"))
        .with_for_update(skip_locked=True)
    ),
    ("this", "last"),
)


def register(
    connection: Connection, node: str, now: float, lease_until: float, *, working: bool, lock_key: int | None = None
) -> None:
    """Make this node known, or known again."""
    _register.run_many(connection, [(node, now, now, lease_until, int(working), None, lock_key)])


def renew(connection: Connection, node: str, now: float, lease_until: float, snapshot: str | None) -> bool:
    """Prolong the leases of all that this node runs, in one row; False if the node's row is gone."""
    return _renew.run_many(connection, [(node, now, lease_until, snapshot)]) == 1


def present(connection: Connection, node: str) -> bool:
    """Whether this node has its row, which nobody takes away before this transaction ends.

    What is claimed in the transaction is so seen by whoever takes the node's tasks over. It comes before all other rows
    that the transaction locks, since who takes over locks the node's row first, too.
    """
    return bool(_present.fetch_along(connection, (node,)))


def claims_elsewhere(connection: Connection, node: str) -> bool:
    """Whether another session has a claim of this node under way, which it has begun by `present`."""
    return bool(_there.fetch(connection, (node,))) and not _free.fetch(connection, (node,))


def leave(connection: Connection, node: str) -> None:
    """Forget this node. If it leaves tasks that run, its row stays until somebody has taken them over."""
    connection.execute(update(nodes).where(nodes.c.node == node).values(lease_until=0.0, lock_key=None))
    left = exists().where(running, task.c.node == node)
    connection.execute(delete(nodes).where(nodes.c.node == node, ~left))


def forget_others(connection: Connection, node: str) -> None:
    """Forget every working node but this one; for a database that has one at a time, whose lock this one holds."""
    connection.execute(delete(nodes).where(nodes.c.node != node, nodes.c.working == 1))


def peers(connection: Connection, node: str) -> Sequence[Peer]:
    """The working nodes but *node*."""
    return [Peer(*row) for row in _peers.fetch(connection, (node,))]


def bury(connection: Connection, node: str, heartbeat_at: float) -> bool:
    """Take away the row of a dead node, unless its heart has beaten since *heartbeat_at*, or another node is at it."""
    if not _found_dead.fetch(connection, (node, heartbeat_at)):
        return False
    connection.execute(delete(nodes).where(nodes.c.node == node))
    return True


def known(connection: Connection, now: float) -> list[NodeInfo]:
    """The nodes that have a row, the longest running first, as they stand at *now* (epoch seconds)."""
    found = connection.execute(select(nodes).order_by(nodes.c.started_at, nodes.c.node))
    return [
        NodeInfo.of(
            row.node,
            row.started_at,
            row.heartbeat_at,
            row.lease_until,
            row.snapshot,
            working=bool(row.working),
            now=now,
        )
        for row in found
    ]

"""A migration beside the transactions of nodes that are under way, on PostgreSQL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text

from actors.store import migrate, nodes, schema
from tests.migrations import CURRENT, NEXT, know_next_version, run_script
from tests.store.world import World


def begin_as_a_node(connection: Connection) -> World:
    """What comes first in a node's transaction: its own row, and then tasks; the counters are still to come."""
    world = World(connection)
    nodes.present(connection, world.node)
    connection.execute(text("SELECT seq FROM actors_task FOR UPDATE")).all()
    return world


def wait_until_somebody_waits(connection: Connection, kind: str = "relation", within: float = 30.0) -> None:
    give_up_at = time.monotonic() + within
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = :kind AND NOT granted")
    while not connection.execute(waiting, {"kind": kind}).scalar_one():
        assert time.monotonic() < give_up_at, f"nobody waits for a lock of the kind {kind!r}"


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_migration_of_many_tables_waits_for_nodes_that_need_all_of_them(
    postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    with postgres_engine.begin() as connection:
        World(connection).submitted("mail")
    know_next_version(monkeypatch, "additions")  # it comes to the counters first

    def upgrade() -> int | None:
        if by_hand:
            run_script(postgres_engine, migrate.sql("postgresql", since=CURRENT))
        with postgres_engine.begin() as connection:
            if not by_hand:
                migrate.upgrade(connection)
            return schema.found(connection)

    with ThreadPoolExecutor(1) as threads:
        with postgres_engine.begin() as connection:
            world = begin_as_a_node(connection)
            upgraded = threads.submit(upgrade)
            wait_until_somebody_waits(connection)
            world.submitted("report", task_id="another", nonce=7)
        assert upgraded.result(30) == NEXT
    with postgres_engine.begin() as connection:
        assert World(connection).counts() == World(connection).gauges() == {"pending": 2}

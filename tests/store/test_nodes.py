"""Nodes among others: who is there, who may claim, and who is buried."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from actors.store import leases, nodes, server
from actors.store.leases import Recovered
from actors.store.nodes import Peer
from tests.store.world import NOW, World


def registered(connection: Connection, *names: str) -> None:
    for name in names:
        nodes.register(connection, name, NOW, NOW + 15, working=True, lock_key=7)


def taken_over(world: World, node: str, *, crashed: bool) -> list[Recovered]:
    started = None if crashed else ()
    return world.counted(lambda tally: leases.recover(world.connection, started, world.now, 60.0, tally, node))


def test_the_others_are_the_working_nodes_but_this_one(world: World) -> None:
    registered(world.connection, "b", "a", "me")
    nodes.register(world.connection, "clerk", NOW, NOW + 15, working=False)
    nodes.register(world.connection, "old", NOW, NOW + 9, working=True)
    assert nodes.peers(world.connection, "me") == [
        Peer("a", NOW, NOW + 15, 7), Peer("b", NOW, NOW + 15, 7), Peer("old", NOW, NOW + 9, None)
    ]  # fmt: skip


def test_a_node_is_present_while_it_has_its_row(world: World) -> None:
    registered(world.connection, "me")
    assert nodes.present(world.connection, "me")
    assert nodes.bury(world.connection, "me", NOW)
    assert not nodes.present(world.connection, "me")


def test_a_node_whose_heart_has_beaten_is_not_buried(world: World) -> None:
    registered(world.connection, "other")
    nodes.renew(world.connection, "other", NOW + 1, NOW + 16, None)
    assert not nodes.bury(world.connection, "other", NOW)
    assert nodes.bury(world.connection, "other", NOW + 1)
    assert not nodes.bury(world.connection, "other", NOW + 1)


def test_a_node_that_leaves_tasks_behind_leaves_its_row_without_a_lease(world: World) -> None:
    registered(world.connection, world.node)
    (row,) = world.running()
    nodes.leave(world.connection, world.node)
    assert nodes.peers(world.connection, "other") == [Peer(world.node, NOW, 0.0, None)]
    world.give_back((row.seq, row.attempt))
    nodes.leave(world.connection, world.node)
    assert nodes.peers(world.connection, "other") == []


def test_what_other_nodes_run_is_left_alone(world: World) -> None:
    (mine,) = world.running()
    other = World(world.connection, "node-2")
    assert taken_over(other, "node-2", crashed=True) == []
    (found,) = taken_over(other, "node-1", crashed=True)
    assert (found.seq, found.status.value) == (mine.seq, "pending")


def test_a_lost_lease_charges_nothing_however_often(world: World) -> None:
    (row,) = world.running()
    for attempt in range(1, 6):
        (found,) = taken_over(world, world.node, crashed=False)
        assert (found.attempt, found.status.value) == (attempt, "pending")
        world.claim()
    task = world.get(row.task_id)
    assert (task.crash_count, task.retry_count, task.status.value) == (0, 0, "running")


def test_where_nobody_knows_what_had_started_a_task_alone_on_a_crashed_node_is_charged(world: World) -> None:
    (row,) = world.running()
    taken_over(world, world.node, crashed=True)
    assert world.get(row.task_id).crash_count == 1
    world.claim()
    world.running(2)
    taken_over(world, world.node, crashed=True)
    assert world.get(row.task_id).crash_count == 1


def test_a_claim_keeps_its_node_from_being_buried_until_it_is_committed(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        registered(connection, "node-1", "node-2")
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        with first.begin():
            assert nodes.present(first, "node-1")
            with second.begin():
                assert not nodes.bury(second, "node-1", NOW), "it was taken away under a claim"
                nodes.renew(second, "node-1", NOW + 1, NOW + 16, None)  # its heart beats meanwhile
        with second.begin():
            assert nodes.bury(second, "node-1", NOW + 1)


def test_a_node_that_is_being_buried_waits_and_may_not_claim(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        registered(connection, "node-1")
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        with first.begin():
            assert nodes.bury(first, "node-1", NOW)
            with second.begin():
                second.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(OperationalError):
                    nodes.present(second, "node-1")
        with second.begin():
            assert not nodes.present(second, "node-1")


def test_two_nodes_that_bury_one_do_not_wait_for_each_other(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        registered(connection, "dead")
    with postgres_engine.connect() as first, postgres_engine.connect() as second, first.begin(), second.begin():
        assert nodes.bury(first, "dead", NOW)
        assert not nodes.bury(second, "dead", NOW)


KEY = (1 << 62) + 12345  # more than 32 bits


def test_a_lock_is_held_until_its_session_ends_and_looking_takes_nothing(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as holder, postgres_engine.connect() as other:
        with holder.begin(), other.begin():
            assert server.is_free(other, KEY)
            assert server.lock(holder, KEY)
            assert not server.is_free(other, KEY)
            assert server.is_free(other, KEY + 1)
            assert not server.lock(other, KEY)
        with other.begin():
            assert not server.is_free(other, KEY), "it went with a transaction"
        holder.invalidate()
        with other.begin():
            assert server.is_free(other, KEY)


def test_a_session_that_holds_a_lock_is_ended_with_what_it_has_under_way(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as holder, postgres_engine.connect() as other:
        with holder.begin():
            assert server.lock(holder, KEY)
        holder.begin()
        registered(holder, "node-1")
        with other.begin():
            server.end_session(other, KEY + 1)
            holder.execute(text("SELECT 1"))
            server.end_session(other, KEY)
        with pytest.raises(OperationalError):
            holder.execute(text("SELECT 1"))
        with other.begin():
            assert server.is_free(other, KEY)
            assert nodes.peers(other, "me") == []


def test_a_session_of_its_own_is_no_pool(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection:
        assert not server.pooled(connection)

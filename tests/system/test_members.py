"""Storage on a node among others: what it takes over, and what it does when others have taken it for dead."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Ask
from actors.store import leases, nodes, schema, views
from actors.store.claim import Room
from actors.store.connection import Connection
from actors.system.messages import CancelRunning, LookAtLeases
from actors.system.server import Server
from actors.system.transaction import Transaction, run
from actors.system.vigil import Dead
from actors.system.writes import Settle, Submit, TakeOver
from tests.system.world import AGING, Desk, MemoryDatabase, World, alive, together

START = 1000.0


class Place(Server):
    """A place at a server that is none, in memory."""

    def look(self, connection: Connection) -> None:
        self._locked = self


@pytest.fixture
def place() -> Place:
    return Place("node-1", 15.0)


def registered(database: MemoryDatabase, *names: str) -> None:
    for name in names:
        row: dict[str, Any] = {"node": name, "now": START, "lease_until": START + 15, "working": True}
        database.look(partial(nodes.register, **row))


async def left_running(world: World, database: MemoryDatabase, node: str, count: int = 1) -> list[str]:
    """The ids of tasks that *node* has claimed."""

    def claim(connection: Connection) -> list[str]:
        transaction = Transaction(connection, node, world.clock.wall(), AGING)
        run(transaction, [Submit([world.row() for _ in range(count)])], world.running.rooms(), idle=True)
        return [task.task_id for task in transaction.claimed]

    return await database.write(claim)


def names_of(database: MemoryDatabase) -> list[str]:
    return [node.name for node in database.look(lambda connection: nodes.known(connection, START))]


async def test_what_a_dead_node_ran_starts_here_out_of_the_transaction_that_took_it_over(
    autojump_clock: MockClock, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    registered(database, "node-1", "dead")
    left = await left_running(world, database, "dead", 2)
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        before = database.writes
        assert await together(storage, TakeOver([Dead("dead", START, crashed=True)])) == [None]
        assert database.writes == before + 1
    assert [(task.task_id, task.attempt) for task in desk.brought] == [(task_id, 2) for task_id in left]
    taken_over = world.told[-1]
    assert [found.task_id for found in taken_over.recovered] == left
    assert "node dead is dead; 2 tasks that it ran are taken over" in caplog.text
    assert names_of(database) == ["node-1"]


async def test_a_node_is_taken_over_once(autojump_clock: MockClock, place: Place) -> None:
    world = World()
    database = world.database()
    registered(database, "node-1", "dead")
    await left_running(world, database, "dead")
    dead = Dead("dead", START, crashed=True)
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        await together(storage, TakeOver([dead, dead]), TakeOver([dead]))
        assert sum(len(transaction.recovered) for transaction in world.told) == 1


async def test_what_a_dead_node_ran_of_a_type_that_is_unknown_here_is_left_for_a_node_that_knows_it(
    autojump_clock: MockClock, place: Place
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    registered(database, "node-1", "newer")

    def claim_novelty(connection: Connection) -> str:
        transaction = Transaction(connection, "newer", world.clock.wall(), AGING)
        run(transaction, [Submit([world.row("novelty")])], [Room("coroutine", 1, {"novelty": 1})], idle=True)
        return transaction.claimed[0].task_id

    task_id = await database.write(claim_novelty)
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, TakeOver([Dead("newer", START, crashed=True)]))
        await together(storage, Submit([world.row()]))
    assert [task.task_type for task in desk.brought] == ["work"]
    task = database.look(lambda connection: views.get(connection, task_id))
    assert task is not None
    assert (task.status.value, task.attempt, task.retry_count) == ("pending", 1, 0)


async def test_who_waits_hears_of_a_task_that_its_third_crash_has_ended(
    autojump_clock: MockClock, place: Place
) -> None:
    world = World()
    database = world.database()
    registered(database, "node-1", "dead")
    (task_id,) = await left_running(world, database, "dead")
    seen = schema.task.update().values(crashes_seen=2, crash_count=1)
    database.look(lambda connection: connection.execute(seen))
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        wait: Ask[views.Ended] = Ask()
        world.waiters.add(task_id, wait, lambda: None, known=True)
        await together(storage, TakeOver([Dead("dead", START, crashed=True)]))
        assert (await wait.reply.wait()).status == "failed"


async def test_a_node_without_its_row_claims_nothing_and_makes_itself_known_again(
    autojump_clock: MockClock, place: Place
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]))
        assert desk.brought == []
        assert world.told[-1].lost
        await storage.handle.ask(Submit([world.row()]))
        await wait_all_tasks_blocked()
    assert names_of(database) == ["node-1"]
    assert desk.seqs == [1, 2]


async def test_attempts_that_were_taken_over_are_stopped_and_their_results_refused(
    autojump_clock: MockClock, place: Place
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    registered(database, "node-1")
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]), Submit([world.row()]))
        (kept, lost) = desk.brought
        database.look(
            lambda connection: connection.execute(
                schema.task.update().where(schema.task.c.seq == lost.seq).values(node="other", attempt=2)
            )
        )
        await storage.handle.tell(LookAtLeases())
        await wait_all_tasks_blocked()
        assert world.timeout.take_all() == [CancelRunning([(lost.seq, 1)])]
        await together(storage, Settle([world.finished(lost), world.finished(kept)]))
        assert [result.value for _, result in world.told[-1].settled] == ["fenced", "stored"]
        assert world.running.leased == {}
    assert database.look(lambda connection: leases.held_by(connection, "other")) == [(lost.seq, 2)]


class Said(Exception):
    """What a driver raises for what a server says."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate
        super().__init__(sqlstate)


@pytest.mark.parametrize(
    ("sqlstate", "lost"),
    [("40P01", False), ("40001", False), ("57P01", True), ("57P03", False), (None, True), (None, False)],
)
async def test_deadlocks_restarts_and_lost_connections_are_waited_out(
    autojump_clock: MockClock, place: Place, sqlstate: str | None, lost: bool
) -> None:
    world = World()
    database = world.database()
    registered(database, "node-1")
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        fault = OperationalError("INSERT", {}, Said(sqlstate), connection_invalidated=lost)
        database.faults = [fault, None, None, fault]
        (receipts,) = await together(storage, Submit([world.row()]))
    assert isinstance(receipts, list)
    assert receipts[0].created
    assert database.faults == []


async def test_while_a_last_commit_is_in_doubt_orphans_are_looked_for_again(autojump_clock: MockClock) -> None:
    place = Doubtful("node-1", 15.0)
    world = World()
    database = world.database()
    registered(database, "node-1")
    async with alive("storage", world.make_storage(database, server=place)) as storage:
        database.faults = [OperationalError("COMMIT", {}, Said(None), connection_invalidated=True)]
        await together(storage, Submit([world.row()]))
        *_, late = await left_running(world, database, "node-1")  # by the session that nobody hears of any more
        place.settled = True
        await together(storage, Submit([world.row()]))
    task = database.look(lambda connection: views.get(connection, late))
    assert task is not None
    assert task.status.value == "pending"


class Doubtful(Server):
    """A place at a server where an earlier session is still at work, until it is *settled*."""

    settled = False

    def look(self, connection: Connection) -> None:
        self._locked = self if self.settled else None

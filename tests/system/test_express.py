"""What comes often is stored in one statement; what comes into a quiet lane starts without a claim."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.request import Receipt
from actors.store import leases, views
from actors.store.connection import Connection
from actors.store.settle import Settled
from actors.system.happenings import events_of
from actors.system.messages import LookAgain
from actors.system.writes import Settle, Submit
from tests.execution.world import handler
from tests.system.test_storage import BUSY, fault
from tests.system.world import Desk, MemoryDatabase, World, alive, rest, together

T = TypeVar("T")


async def test_submits_of_one_batch_are_stored_together_and_each_gets_its_own_receipts(
    autojump_clock: MockClock,
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    parts = [[world.row()], [world.row(), world.row()], [world.row(delay=30, lane="thread")], []]
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        twin = parts[0][0]._replace(nonce=world.chance.nonce())
        answers = await together(storage, *map(Submit, parts), Submit([twin]))
    known = [[Receipt(row.task_id, created=True) for row in part] for part in parts]
    assert answers == [*known, [Receipt(twin.task_id, created=False)]]
    assert [row for row, _ in world.told[-1].submitted] == [*parts[0], *parts[1], twin, *parts[2]]
    assert sorted(desk.seqs) == [1, 2, 3]


async def test_outcomes_of_one_batch_are_stored_together(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row() for _ in range(3)]))
        first, second, third = [world.finished(task) for task in desk.brought]
        answers = await together(storage, Settle([first, second]), Settle([]), Settle([third]))
    assert answers == [None, None, None]
    assert world.told[-1].settled == [(change, Settled.STORED) for change in (first, second, third)]
    assert world.running.leased == {}


async def test_what_comes_into_a_quiet_lane_is_stored_as_running_and_looks_like_a_claim(
    autojump_clock: MockClock,
) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    row, waits = world.row(), world.row(delay=30, lane="thread")
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        (receipts, _) = await together(storage, Submit([row]), Submit([waits]))
    assert world.told[-1].express == {"coroutine"}
    assert receipts == [Receipt(row.task_id, created=True)]
    assert world.running.leased == {1: 1}
    (task,) = desk.brought
    assert (task.seq, task.task_id, task.attempt, task.claimed_as) == (1, row.task_id, 1, "pending")
    stored = database.look(lambda connection: views.get(connection, row.task_id))
    assert stored is not None
    assert (stored.status.value, stored.attempt, stored.node) == ("running", 1, "node-1")
    (event, started) = [kind.type.value for kind in events_of(world.told[-1]) if kind.task_id == row.task_id]
    assert (event, started) == ("submitted", "started")


async def test_one_id_or_key_that_comes_twice_to_a_quiet_lane_starts_once(autojump_clock: MockClock) -> None:
    world = World()
    desk, row, keyed = Desk(world), world.row(), world.row(key="k")
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        twin, later = (row._replace(nonce=world.chance.nonce()) for _ in range(2))
        answers = await together(storage, *(Submit([one]) for one in (row, twin)))
        again = await together(storage, *(Submit([one]) for one in (later, keyed, world.row(key="k"))))
        assert {tuple(transaction.express) for transaction in world.told[-2:]} == {("coroutine",)}
    assert answers == [[Receipt(row.task_id, created=True)], [Receipt(row.task_id, created=False)]]
    assert again == [
        [Receipt(row.task_id, created=False)],
        [Receipt(keyed.task_id, created=True)],
        [Receipt(keyed.task_id, created=False)],
    ]
    assert [task.task_id for task in desk.brought] == [row.task_id, keyed.task_id]
    assert world.running.lanes["coroutine"].taken == 2


async def test_what_two_lanes_were_to_start_whole_is_left_behind_in_neither(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    both = [world.row(), world.row(lane="thread")]
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        await together(storage, Submit(both), Submit([world.row(delay=30)]), Submit([world.row(lane="thread")]))
    assert {task.task_id for task in desk.brought} > {row.task_id for row in both}
    assert len(desk.brought) == 3


class ForgetfulDatabase(MemoryDatabase):
    """Commits, and then loses the word of it: *error* is what comes instead, *lost* times."""

    lost = 0
    error: Exception = fault(BUSY)

    async def write(self, operation: Callable[[Connection], T]) -> T:
        done = await super().write(operation)
        if self.lost:
            self.lost -= 1
            raise self.error
        return done


@pytest.mark.parametrize("claimed", [False, True], ids=["started at once", "claimed"])
async def test_a_commit_whose_word_was_lost_strands_no_task(claimed: bool, autojump_clock: MockClock) -> None:
    world, database = World(), ForgetfulDatabase()
    desk = Desk(world)
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        database.lost = 1
        if claimed:
            assert storage.handle.hint(LookAgain())
        row = world.row()
        assert await together(storage, Submit([row])) == [[Receipt(row.task_id, created=True)]]
    assert desk.seqs == [1]
    assert database.look(lambda connection: leases.held_by(connection, "node-1")) == list(world.running.leased.items())


async def test_a_type_limit_holds_over_all_lanes_of_one_claim(autojump_clock: MockClock) -> None:
    world = World(handler(rest, max_concurrency=1))
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await together(storage, Submit([world.row(), world.row(lane="thread")]))
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
    assert len(desk.seqs) == 1


@pytest.mark.parametrize("together_with", [0, 1], ids=["alone", "in a batch"])
async def test_an_error_after_the_commit_strands_no_task(together_with: int, autojump_clock: MockClock) -> None:
    world, database = World(), ForgetfulDatabase()
    desk = Desk(world)
    database.error = ValueError("not a fault that passes")
    rows = [world.row() for _ in range(1 + together_with)]
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        database.lost = 1
        answers = await together(storage, *(Submit([row]) for row in rows))
        assert [type(answer) for answer in answers] == ([list] * 2 if together_with else [ValueError])
        await together(storage, Submit([world.row()]))
    assert {row.task_id for row in rows} < {task.task_id for task in desk.brought}
    held = database.look(lambda connection: leases.held_by(connection, "node-1"))
    assert sorted(held) == sorted(world.running.leased.items())
    assert len(held) == len(rows) + 1


async def test_a_task_that_expires_is_claimed_even_in_a_quiet_lane(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        row = world.row()._replace(expires_at=world.clock.wall() + 60)
        await together(storage, Submit([row]))
    assert world.told[-1].express == frozenset()
    assert [task.task_id for task in desk.brought] == [row.task_id]

"""Tasks that handlers submit: they travel with the outcome, and are stored where it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from sqlalchemy import select
from trio.testing import MockClock

from actors.core.outcome import Change
from actors.core.request import Claimed, NewTask
from actors.kernel import Child
from actors.store import rollups
from actors.store.schema import task
from actors.store.settle import Settled
from actors.system.messages import LookForWork
from actors.system.parking import Parking
from actors.system.writes import Cancel, Settle, Submit
from tests.system.test_express import ForgetfulDatabase
from tests.system.world import Desk, MemoryDatabase, World, alive, together


class Family:
    """A parent that runs on a node, in the lane `thread`, and the children that its handler submitted."""

    def __init__(self) -> None:
        self.world = World()
        self.database: MemoryDatabase = self.world.database()
        self.desk = Desk(self.world)
        self.children = [self.world.row(), self.world.row()]

    async def parent(self, storage: Child[Any]) -> Claimed:
        await storage.handle.tell(self.desk.claim)
        await together(storage, Submit([self.world.row()._replace(lane="thread")]))
        (parent,) = self.desk.brought
        self.desk.brought.clear()
        return parent

    def done(self, parent: Claimed, children: Sequence[NewTask] | None = None) -> Settle:
        """What its Worker sends when it has returned."""
        finished = self.world.finished(parent)
        return Settle([attrs.evolve(finished, children=self.children if children is None else children)])

    def stored(self) -> set[str]:
        """The ids of all tasks that the database has."""
        return {row.task_id for row in self.database.look(lambda c: c.execute(select(task.c.task_id)).all())}

    def counted(self) -> dict[str, int]:
        """What the counters say of all states that have any task."""
        return {name: n for name, n in self.database.look(rollups.by_status).items() if n}

    @property
    def results(self) -> list[Settled]:
        return [result for transaction in self.world.told for _, result in transaction.settled]

    @property
    def told(self) -> list[str]:
        return [new.task_id for transaction in self.world.told for new, _ in transaction.submitted]


async def test_children_are_stored_with_the_outcome_and_start_in_its_transaction(autojump_clock: MockClock) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        writes = family.database.writes
        await together(storage, family.done(parent))
    ids = [row.task_id for row in family.children]
    assert family.database.writes == writes + 1
    assert [task.task_id for task in family.desk.brought] == ids
    assert family.told[1:] == ids
    assert family.counted() == {"completed": 1, "running": 2}


async def test_an_outcome_that_is_sent_twice_stores_its_children_once(autojump_clock: MockClock) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        await together(storage, family.done(parent), family.done(parent))
        await together(storage, family.done(parent))
    assert family.results == [Settled.STORED, Settled.STORED_BEFORE, Settled.STORED_BEFORE]
    assert family.stored() == {parent.task_id, *(row.task_id for row in family.children)}
    assert family.counted() == {"completed": 1, "running": 2}


async def test_an_outcome_whose_transaction_was_rolled_back_stores_its_children_when_it_is_repeated(
    autojump_clock: MockClock,
) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        family.database.faults = [ValueError("the disk burns")]
        (fault,) = await together(storage, family.done(parent))
        assert isinstance(fault, ValueError)
        assert family.stored() == {parent.task_id}
        await together(storage, family.done(parent))
    assert len(family.stored()) == 3


async def test_an_outcome_that_a_cancel_overtook_leaves_no_children(autojump_clock: MockClock) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        await together(storage, Cancel([parent.task_id]))
        await together(storage, family.done(parent))
    assert family.results == [Settled.CANCELLED]
    assert family.stored() == {parent.task_id}
    assert family.counted() == {"cancelled": 1}


async def test_an_outcome_that_is_fenced_leaves_no_children(autojump_clock: MockClock) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        late = parent._replace(attempt=parent.attempt + 1)
        await together(storage, family.done(late))
    assert family.results == [Settled.FENCED]
    assert family.stored() == {parent.task_id}


async def test_only_the_outcome_that_was_stored_brings_its_children(autojump_clock: MockClock) -> None:
    family = Family()
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        late = parent._replace(attempt=9)
        first, second = family.children
        changes: list[Change] = [*family.done(late, [first]).changes, *family.done(parent, [second]).changes]
        await together(storage, Settle(changes))
    assert family.stored() == {parent.task_id, second.task_id}


async def test_a_child_that_is_not_due_is_waited_for(autojump_clock: MockClock) -> None:
    family = Family()
    later = family.world.row()._replace(due_at=family.world.clock.wall() + 50, rank=None)
    async with alive("storage", family.world.make_storage(family.database)) as storage:
        parent = await family.parent(storage)
        family.world.scheduler.take_all()
        await together(storage, family.done(parent, [later]))
        (hint,) = family.world.scheduler.take_all()
    assert hint.due == later.due_at


async def test_a_child_is_waited_for_though_the_commit_that_stored_it_went_unheard(autojump_clock: MockClock) -> None:
    family = Family()
    family.database = database = ForgetfulDatabase()
    later = family.world.row()._replace(due_at=family.world.clock.wall() + 50, rank=None)
    async with alive("storage", family.world.make_storage(database)) as storage:
        parent = await family.parent(storage)
        family.world.scheduler.take_all()
        database.lost = 1
        await together(storage, family.done(parent, [later]))
        assert LookForWork() in family.world.scheduler.take_all()
    assert family.results == [Settled.STORED_BEFORE]
    assert family.stored() == {parent.task_id, later.task_id}


async def test_children_stir_their_lanes_if_they_are_due() -> None:
    family = Family()
    late = family.world.row()._replace(lane="thread", rank=None)
    parent = family.world.take()
    assert family.done(parent, []).stirs() == set()
    assert family.done(parent, [late]).stirs() == set()
    assert family.done(parent, [late, *family.children]).stirs() == {"coroutine"}


async def test_a_lane_that_children_stir_is_claimed_from_and_takes_nothing_unclaimed() -> None:
    family = Family()
    parking = Parking()
    parking.park(family.desk.claim)
    calm = parking.chances(())
    parking.tried(calm, _nothing())
    chances = parking.chances([family.done(family.world.take()), Submit([family.world.row()])])
    assert (chances.express, [room.lane for room in chances.rooms]) == (frozenset(), ["coroutine"])


def _nothing() -> Any:
    """A transaction that has brought nothing."""
    from actors.system.transaction import Transaction

    return Transaction(None, "node-1", 0.0, 60.0)  # type: ignore[arg-type]  # nothing is read or written

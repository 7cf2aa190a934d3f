"""What may start, and when something comes due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import StorageUnavailable
from actors.kernel import Child, Probe
from actors.system.clock import VIRTUAL_LOOK_EVERY
from actors.system.messages import Claim, LookAgain, LookAtOrder, LookForWork, Read, Run, Withdraw
from actors.system.order import Order
from actors.system.scheduler import PAUSE_AFTER_FAULT, Scheduler
from actors.system.writes import Promote
from tests.system.world import World, alive


class Office:
    """A world with a Scheduler, and a Storage that is played here.

    Attributes:
        claims: the orders that were placed.
        promoted: when the Scheduler asked for what has come due, since the start.
        due: what that is answered with, epoch seconds.
    """

    def __init__(self, *, capacity: int = 10) -> None:
        self.world = World()
        self.workers: dict[str, Probe[Any]] = {lane: Probe(lane, capacity=capacity) for lane in ("coroutine", "thread")}
        self.order = Order(self.world.running, {name: probe.handle for name, probe in self.workers.items()})
        self.claims: list[Claim] = []
        self.promoted: list[float] = []
        self.looks = 0
        self.due: float | None = None
        self.fault: Exception | None = None
        self.paused: frozenset[tuple[str, str]] = frozenset()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Child[Any]]:
        """Run the Scheduler; a Storage answers it."""
        world, begun = self.world, trio.current_time()

        def create() -> Scheduler:
            return Scheduler(world.clock, world.running, self.order, world.storage.handle, world.scheduler.handle)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._play_storage, begun)
            async with alive("scheduler", create) as scheduler:
                nursery.start_soon(self._pass_on, scheduler)
                await wait_all_tasks_blocked()
                yield scheduler
            nursery.cancel_scope.cancel()

    async def _pass_on(self, scheduler: Child[Any]) -> None:
        while True:
            scheduler.handle.hint(await self.world.scheduler.next())

    async def _play_storage(self, begun: float) -> None:
        while True:
            match await self.world.storage.next():
                case Promote() as promote:
                    self.promoted.append(trio.current_time() - begun)
                    if self.fault is not None:
                        promote.fail(self.fault)
                    promote.answer(self.due)
                case Read() as read:
                    read.answer(self.paused)
                case Claim() as claim:
                    self.claims.append(claim)
                case Withdraw() as withdraw:
                    self.claims[-1].answer(None)
                    withdraw.answer(None)
                case LookAgain():
                    self.looks += 1


def started(probe: Probe[Any]) -> list[int]:
    """The seqs that a Worker was told to start."""
    return [task.seq for message in probe.take_all() if isinstance(message, Run) for task in message.tasks]


async def test_it_places_one_order_and_what_that_brings_goes_to_the_lanes_workers_once(
    autojump_clock: MockClock,
) -> None:
    office = Office()
    async with office.open():
        (claim,) = office.claims
        claim.deliver([office.world.take(1), office.world.take(2, lane="thread"), office.world.take(3)])
        assert started(office.workers["coroutine"]) == [1, 3]
        assert started(office.workers["thread"]) == [2]
        assert [room.slots for room in claim.rooms()] == [2, 1]
    assert started(office.workers["coroutine"]) == []


async def test_what_a_full_worker_cannot_take_waits_for_room_and_nothing_is_lost(autojump_clock: MockClock) -> None:
    office = Office(capacity=1)
    async with office.open():
        (claim,) = office.claims
        for seq in range(1, 5):
            claim.deliver([office.world.take(seq)])
        begun: list[int] = []
        while len(begun) < 4:
            run = await office.workers["coroutine"].next()
            begun += [task.seq for task in run.tasks]
    assert sorted(begun) == [1, 2, 3, 4]


async def test_an_order_of_an_earlier_life_stays_good(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open() as scheduler:
        await scheduler.handle.tell(LookForWork("soon"))  # type: ignore[arg-type]  # crashes it, twice
        await trio.sleep(1)
        assert scheduler.handle.statistics().dead_letters == 1
        await scheduler.handle.tell(LookAtOrder())
        await wait_all_tasks_blocked()
        assert len(office.claims) == 1
        office.claims[0].deliver([office.world.take(1)])
        assert started(office.workers["coroutine"]) == [1]


async def test_an_order_that_storage_has_lost_is_placed_anew(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        office.claims[0].answer(None)
        await wait_all_tasks_blocked()
        assert len(office.claims) == 2


async def test_what_comes_due_is_promoted_at_its_time(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open() as scheduler:
        office.due = None
        await scheduler.handle.tell(LookForWork(office.world.clock.wall() + 7.5))
        await trio.sleep(20)
        assert office.promoted == pytest.approx([0, 7.5])


async def test_the_next_due_time_is_what_storage_says(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open() as scheduler:
        office.due = office.world.clock.wall() + 3
        await scheduler.handle.tell(LookForWork())
        await trio.sleep(2)
        office.due = None
        await trio.sleep(10)
        assert office.promoted == pytest.approx([0, 0, 3])


async def test_a_lost_hint_costs_one_interval_at_most(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        await trio.sleep(2.5 * VIRTUAL_LOOK_EVERY)
        assert office.promoted == pytest.approx([0, VIRTUAL_LOOK_EVERY, 2 * VIRTUAL_LOOK_EVERY])


async def test_a_promotion_that_fails_is_tried_again_soon(autojump_clock: MockClock) -> None:
    office = Office()
    office.fault = StorageUnavailable("disk full")
    async with office.open():
        await trio.sleep(PAUSE_AFTER_FAULT / 2)
        office.fault = None
        await trio.sleep(10)
        assert office.promoted == pytest.approx([0, PAUSE_AFTER_FAULT])


async def test_news_without_a_time_are_looked_at_at_once(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open() as scheduler:
        await scheduler.handle.tell(LookForWork())
        await wait_all_tasks_blocked()
        assert office.promoted == [0, 0]


async def test_room_that_nothing_tells_of_is_told_to_storage(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        office.world.running.look_for_room()
        await wait_all_tasks_blocked()
        assert office.looks == 1


async def test_a_stop_takes_the_order_back_and_hands_on_what_it_brought(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        (claim,) = office.claims
        office.order.left.append(office.world.take(1))
    assert claim.answered
    assert started(office.workers["coroutine"]) == [1]

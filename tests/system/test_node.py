"""What users hold of a running node: the kernel's errors become theirs."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import NotRunning, StorageUnavailable
from actors.core.retention import Retention
from actors.kernel import ActorCrashed, Probe
from actors.system.housekeeping import Cleanup, RemoveResults
from actors.system.messages import LookUp
from actors.system.metrics import Meter
from actors.system.node import Node
from actors.system.waiters import Waiters
from actors.system.watches import Watches
from actors.system.writes import Submit
from tests.system.world import World


def make(world: World) -> Node:
    """A node whose Storage is a probe."""
    return Node(
        name="node-1", database="sqlite:///:memory:", work=True, grace=1.0,
        clock=world.clock, chance=world.chance, running=world.running,
        subscribers=world.subscribers, replies=world.replies, meter=Meter(trio.current_time()), waiters=Waiters(),
        watches=Watches(world.clock.wall),
        storage=world.storage.handle, intake=Probe("intake").handle,
    )  # fmt: skip


async def test_what_crashes_storage_may_be_tried_again(autojump_clock: MockClock) -> None:
    world = World()
    node = make(world)

    async def crash() -> None:
        submit = await world.storage.next()
        assert isinstance(submit, Submit)
        submit.fail(ActorCrashed("storage crashed"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        with pytest.raises(StorageUnavailable, match="it may be tried again"):
            await node.submit([world.row()])


async def test_a_stopped_node_says_so(autojump_clock: MockClock) -> None:
    world = World()
    node = make(world)
    world.storage.stop()
    with pytest.raises(NotRunning, match="what was not acknowledged is not stored"):
        await node.submit([world.row()])


async def test_storage_is_hinted_at_what_has_to_be_looked_up(autojump_clock: MockClock) -> None:
    world = World()
    with trio.move_on_after(1):
        await make(world).wait("1")
    assert world.storage.take_all() == [LookUp()]


async def test_a_cleanup_goes_in_batches_and_counts_them(autojump_clock: MockClock) -> None:
    world = World()
    node = make(world)

    async def remove() -> None:
        for kind, count in ((Cleanup, 500), (Cleanup, 20), (Cleanup, 0), (RemoveResults, 50), (RemoveResults, 0)):
            message = await world.storage.next()
            assert isinstance(message, kind)
            message.answer(count)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(remove)
        assert await node.steering.cleanup(Retention(10.0, 20.0, 5.0)) == 520
    await wait_all_tasks_blocked()

"""A batch whose Storage does not do as it is asked."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from actors.core.errors import StorageUnavailable
from actors.core.request import Receipt
from actors.system.batch import CANCEL_WITHIN, Batch
from actors.system.door import Door
from actors.system.running import ignore
from actors.system.writes import Cancel, Submit
from tests.system.world import World


async def stored(world: World) -> Batch:
    """A batch with one task of its own, and one of somebody else."""
    batch = Batch(Door(world.storage.handle), world.waiters, ignore, 10, ordered=True)
    rows = [world.row(), world.row()]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.store, rows)
        submit = await world.storage.next()
        assert isinstance(submit, Submit)
        submit.answer([Receipt(rows[0].task_id, created=True), Receipt(rows[1].task_id, created=False)])
    return batch


@pytest.mark.parametrize("answered", [True, False])
async def test_tasks_that_cannot_be_cancelled_are_left_with_a_warning_in_bounded_time(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, answered: bool
) -> None:
    world = World()
    batch = await stored(world)
    begun = trio.current_time()
    with caplog.at_level(logging.WARNING):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: batch.leave(keep=False))
            cancel = await world.storage.next()
            assert isinstance(cancel, Cancel)
            assert len(cancel.task_ids) == 1
            if answered:
                cancel.fail(StorageUnavailable("no disk"))
    assert trio.current_time() - begun == (0 if answered else CANCEL_WITHIN)
    assert "1 tasks of a map that was left are not cancelled, and go on" in caplog.text


async def test_a_store_that_fails_leaves_nothing_to_wait_for(autojump_clock: MockClock) -> None:
    world = World()
    batch = Batch(Door(world.storage.handle), world.waiters, ignore, 10, ordered=True)

    async def store() -> None:
        try:
            await batch.store([world.row()])
        except StorageUnavailable as error:
            batch.finish(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store)
        (await world.storage.next()).fail(StorageUnavailable("no disk"))
    with pytest.raises(StorageUnavailable, match="no disk"):
        await batch.take()
    assert await batch.take() is None

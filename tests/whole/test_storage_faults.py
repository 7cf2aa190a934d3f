"""A full disk and a busy database: askers wait, then hear what is being done; and it goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from sqlalchemy import event
from sqlalchemy.engine import Engine

from actors import errors
from actors.store.engine import make_engine
from actors.system import database, supervisor
from actors.system.storage import Storage
from tests.waiting import until
from tests.whole.crowd import Crowd
from tests.whole.process import Program
from tests.whole.table import File

PATIENCE = 0.4


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Askers hear of a fault after 0.4 s instead of 10, and SQLite waits 0.1 s for a lock instead of 5."""
    monkeypatch.setattr(supervisor, "Storage", partial(Storage, patience=PATIENCE))
    monkeypatch.setattr(database, "make_engine", partial(make_engine, busy_seconds=0.1))


class Disk:
    """The pages that the database file may have; SQLite itself says FULL beyond them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages = 1_000_000
        make = partial(make_engine, busy_seconds=0.1)

        def limited(url: str, **options: Any) -> Engine:
            engine = make(url, **options)

            @event.listens_for(engine, "begin")
            def limit(connection: Any) -> None:
                connection.connection.driver_connection.execute(f"PRAGMA max_page_count = {self.pages}")

            return engine

        monkeypatch.setattr(database, "make_engine", limited)


async def test_a_full_disk_is_told_to_those_who_waited_and_work_goes_on_when_there_is_space(
    file: File, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    crowd = Crowd(file)
    async with crowd.running():
        running = await crowd.fill(20)
        disk.pages = 1
        began = trio.current_time()
        refused = await _fill_the_disk(crowd)
        assert trio.current_time() - began >= PATIENCE
        assert "the disk is full" in str(refused)
        assert "nothing was stored, and it may be tried again" in str(refused)
        assert "tried again in" in caplog.text
        crowd.open()  # their outcomes cannot be stored now
        disk.pages = 1_000_000
        for ticket in running:
            await ticket.result()
        assert await (await crowd.quick.submit(number=7)).result() == 7
        await until(lambda: not crowd.app.running_node.running.leased)
        crowd.assert_whole()
        assert not [child.name for child in crowd.app.tree() if child.restarts]
    file.assert_exact(completed=len(file.tasks()))


async def _fill_the_disk(crowd: Crowd) -> errors.StorageUnavailable:
    """Submit until no page is left."""
    while True:
        try:
            await crowd.app.submit_many(crowd.quick.request(number=number) for number in range(200))
        except errors.StorageUnavailable as refused:
            return refused


async def test_a_write_lock_of_another_process_is_waited_for(file: File, start: Callable[..., Program]) -> None:
    crowd = Crowd(file)
    async with crowd.running(), trio.open_nursery() as nursery:
        holder = start("holder", file.path)
        holder.line("holding")
        submitted: list[int] = []

        async def submit() -> None:
            submitted.append(await (await crowd.quick.submit(number=3)).result())

        nursery.start_soon(submit)
        await trio.sleep(0.2)
        assert not submitted, "the lock was not in the way"
        holder.tell("let go")
        holder.line("released")
        await until(lambda: submitted == [3])
    file.assert_exact(completed=1)


async def test_a_write_lock_that_is_never_let_go_is_named_to_the_caller(
    file: File, start: Callable[..., Program]
) -> None:
    crowd = Crowd(file)
    async with crowd.running():
        holder = start("holder", file.path)
        holder.line("holding")
        with pytest.raises(errors.StorageUnavailable, match="another process holds the write lock"):
            await crowd.quick.submit(number=1)
        holder.tell("let go")
        holder.line("released")
        assert await (await crowd.quick.submit(number=2)).result() == 2
    file.assert_exact(completed=1)


async def test_a_submit_that_timed_out_at_the_caller_and_is_done_again_is_one_task(file: File) -> None:
    crowd = Crowd(file)
    async with crowd.running():
        node = crowd.app.running_node
        task_id = node.chance.task_id(node.clock.wall())
        request = crowd.quick.request(number=5)
        again = type(request)(request.task_type, request.input_data, task_id=task_id)
        with file.locked():
            with trio.move_on_after(0.1) as scope:
                await crowd.app.submit(again)
            assert scope.cancelled_caught, "the submit was not cut off"
        ticket = await crowd.app.submit(again)
        assert ticket.task_id == task_id
        assert await ticket.result() == 5
        assert len(crowd.runs) == 1
    file.assert_exact(completed=1)

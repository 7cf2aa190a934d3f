"""Deleting ended tasks, and the large results that go before their tasks."""

from __future__ import annotations

import uuid

import pytest
import trio
from trio.testing import MockClock

from actors import Abort, Settings, TaskStatus, TaskSystem
from actors.errors import IllegalTransition, ResultRemoved, TaskNotFound
from tests.app.world import DAY, refused


async def write(length: int = 1, fails: bool = False) -> str:
    """Returns a text of this length."""
    if fails:
        raise Abort("told to")
    return "x" * length


async def test_a_deleted_task_is_gone_with_all_that_hangs_on_it(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(write)
    async with app.running():
        done, failed = await declared.submit(), await declared.submit(fails=True)
        await done.result()
        await failed.wait()
        for ticket in (done, failed):
            await app.delete(ticket.task_id)
            assert await app.get(ticket.task_id) is None
            assert await app.attempts(ticket.task_id) == []
            with pytest.raises(TaskNotFound):
                await ticket.result()
        assert await app.count() == (await app.statistics()).total_tasks == 0


async def test_a_task_that_has_not_ended_is_not_deleted(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(write)
    async with app.running():
        ticket = await declared.options(delay=60).submit()
        with refused(IllegalTransition, ticket.task_id, "'write'", "is pending", "when it has ended"):
            await app.delete(ticket.task_id)
        assert await ticket.status() is TaskStatus.PENDING
        with refused(TaskNotFound, "no task"):
            await app.delete(str(uuid.uuid4()))


async def test_a_large_result_goes_after_a_day_by_itself_and_its_task_stays(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(write)
    async with app.running():
        large, small = await declared.submit(100_000), await declared.submit(60_000)
        assert len(await large.result()) == 100_000
        await trio.sleep(DAY - 2 * 3600)
        assert len(await large.result()) == 100_000
        await trio.sleep(4 * 3600)
        with refused(
            ResultRemoved, large.task_id, "'write'", "100,002 bytes", "removed at 20", "TASK_LARGE_RESULT_DAYS"
        ):
            await large.result()
        task = await large.wait()
        assert task.status is TaskStatus.COMPLETED
        assert "100,002 bytes" in task.result_data
        assert len(await small.result()) == 60_000


async def test_a_cleanup_removes_large_results_of_any_number(autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(large_result_days=0.5))
    declared = app.task(write)
    async with app.running():
        tickets = [await declared.submit(70_000) for _ in range(120)]
        for ticket in tickets:
            await ticket.wait()
        assert await app.cleanup() == 0
        assert len(await tickets[0].result()) == 70_000
        await trio.sleep(DAY * 0.49)
        young = await declared.submit(70_000)
        await young.wait()
        await trio.sleep(DAY * 0.02)
        assert await app.cleanup() == 0
        for ticket in tickets:
            with pytest.raises(ResultRemoved):
                await ticket.result()
        assert len(await young.result()) == 70_000


async def test_what_looks_like_a_note_is_a_result_all_the_same(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def echo(text: str) -> str:
        return text

    declared = app.task(write)
    async with app.running():
        ticket = await declared.submit(100_000)
        await trio.sleep(DAY + 7200)
        note = (await ticket.wait()).result_data
        again = await echo.submit(str(note))
        assert await again.result() == note
        assert type((await again.wait()).result_data) is str


async def test_a_revived_task_brings_its_large_result_again(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(write)
    async with app.running():
        ticket = await declared.submit(100_000)
        await trio.sleep(DAY + 7200)
        await app.retry(ticket.task_id)
        assert len(await ticket.result()) == 100_000

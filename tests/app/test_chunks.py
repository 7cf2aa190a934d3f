"""Small tasks of mode process, through the public interface. Real processes and real time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
import trio.lowlevel

from actors import Settings, TaskStatus, TaskSystem
from actors.execution.process import queue
from tests.app.world import all_ended, in_process
from tests.execution import process_handlers as handlers
from tests.waiting import until

SOON = 40.0
"""Seconds within which everything here has happened, on a machine that is busy."""


@pytest.fixture
def app(file_url: str, monkeypatch: pytest.MonkeyPatch) -> TaskSystem:
    """Two slots for processes; nobody is given back because the machine is slow."""
    monkeypatch.setattr(queue, "MOST_WAIT", 1000.0)
    return TaskSystem(file_url, settings=Settings(max_cpu_workers=2, max_tasks_per_child=1000, grace_seconds=0.3))


def most_at_once(app: TaskSystem) -> int:
    """How many run now."""
    return app.metrics().lanes["process"].running


async def measured(task: Any, **payload: Any) -> None:
    """Have *task* run often enough for its type to be small."""
    for _ in range(3):
        await (await task.submit(**payload)).result()


def assert_nothing_runs(app: TaskSystem) -> None:
    lane = app.metrics().lanes["process"]
    assert (lane.running, lane.free, lane.stuck) == (0, 2, 0)


async def test_a_deep_queue_of_small_tasks_shares_slots_and_each_has_its_own_result(app: TaskSystem) -> None:
    double, seen = in_process(app, handlers.double), 0
    async with app.running():
        await measured(double, number=1)
        with trio.fail_after(SOON):
            tickets = await app.submit_many(double.request(number=number) for number in range(500))
            while len(await app.list(status=TaskStatus.COMPLETED, limit=1000)) < 503:
                seen = max(seen, most_at_once(app))
                await trio.lowlevel.checkpoint()
            assert [await ticket.result() for ticket in tickets] == [2 * number for number in range(500)]
        assert seen > 2, "they travelled together"
        assert_nothing_runs(app)
    assert psutil.Process().children(recursive=True) == []


async def test_a_crash_in_a_deep_queue_fails_one_task_and_the_others_complete_at_their_first_attempt(
    app: TaskSystem, tmp_path: Path
) -> None:
    note = in_process(app, handlers.note)
    path = str(tmp_path / "notes")
    async with app.running():
        await measured(note, path=path, number=-2)
        with trio.fail_after(SOON):
            tickets = await app.submit_many(
                note.request(path=path, number=number, crash_at=number if number % 50 == 25 else -1)
                for number in range(200)
            )
            await all_ended(tickets)
        tasks = [await ticket.task() for ticket in tickets]
        assert_nothing_runs(app)
    failed = [number for number, task in enumerate(tasks) if task.status is TaskStatus.FAILED]
    assert failed == [25, 75, 125, 175]
    assert {task.status for task in tasks} == {TaskStatus.FAILED, TaskStatus.COMPLETED}
    assert {(task.attempt, task.retry_count, task.crash_count) for task in tasks} == {(1, 0, 0)}
    begun = Counter((tmp_path / "notes").read_text().split())
    assert all(begun[str(number)] == 1 for number in range(200))


async def test_a_types_own_limit_holds_for_small_tasks(app: TaskSystem) -> None:
    double, seen = in_process(app, handlers.double, max_concurrency=3), 0
    async with app.running():
        await measured(double, number=1)
        with trio.fail_after(SOON):
            tickets = await app.submit_many(double.request(number=number) for number in range(60))
            while len(await app.list(status=TaskStatus.COMPLETED, limit=1000)) < 63:
                seen = max(seen, most_at_once(app))
                await trio.lowlevel.checkpoint()
            await all_ended(tickets)
    assert 1 <= seen <= 3


async def test_cancels_pauses_and_a_shutdown_strike_small_tasks_at_once(app: TaskSystem, tmp_path: Path) -> None:
    note = in_process(app, handlers.note)
    path = str(tmp_path / "notes")
    async with app.running():
        await measured(note, path=path, number=-2)
        with trio.fail_after(SOON):
            held = [await note.submit(path=path, number=number, wait_at=number) for number in range(2)]
            await until(lambda: (tmp_path / "notes").read_text().split()[3:] in (["0", "1"], ["1", "0"]))
            others = await app.submit_many(note.request(path=path, number=number) for number in range(10, 80))
            assert await others[5].cancel()
            assert (await others[5].wait()).status is TaskStatus.CANCELLED
            await app.pause(task_type="note")
            handlers.touch(f"{path}.go")
            await all_ended(held)
    # What had not begun when the system stopped is as it was.
    async with app.running(work=False):
        rest = [await ticket.task() for ticket in others if ticket is not others[5]]
    assert {(task.status, task.retry_count) for task in rest} <= {
        (TaskStatus.PENDING, 0), (TaskStatus.COMPLETED, 0),
    }  # fmt: skip
    begun = Counter((tmp_path / "notes").read_text().split())
    assert all(begun[str(number)] == (task.status is TaskStatus.COMPLETED) for number, task in zip(
        [number for number in range(10, 80) if number != 15], rest, strict=True))  # fmt: skip

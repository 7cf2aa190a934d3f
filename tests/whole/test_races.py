"""Cancel against completion, slots after crashes, and a wall clock that steps back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import TaskRequest, TaskStatus, errors
from actors.system import opening
from actors.system.clock import Clock
from actors.system.worker import Worker
from tests.waiting import until
from tests.whole.crowd import THREADS, Crowd
from tests.whole.programs.mode_bodies import MODES
from tests.whole.programs.modes import SLOTS, declared
from tests.whole.table import File

RACES = 200


async def test_a_cancel_that_races_a_completion_has_one_winner_and_says_who(file: File) -> None:
    crowd = Crowd(file)
    said: dict[str, bool] = {}

    async def race(number: int) -> None:
        # Every tenth starts a little later, so that on a machine of any speed some cancels come first.
        quick = crowd.quick.options(delay=0.2) if number % 10 == 0 else crowd.quick
        ticket = await quick.submit(number=number)
        for _ in range(number % 23):
            await trio.lowlevel.checkpoint()
        said[ticket.task_id] = await ticket.cancel()
        with pytest.raises(errors.TaskCancelled) if said[ticket.task_id] else _nothing():
            assert await ticket.result() == number

    async with crowd.running():
        async with trio.open_nursery() as nursery:
            for number in range(RACES):
                nursery.start_soon(race, number)
        await race_to_lose(crowd, said)
        await until(lambda: not crowd.app.running_node.running.leased)
        crowd.assert_whole()
    winners = Counter(said.values())
    assert winners[True], "no cancel won"
    assert winners[False], "no completion won"
    rows = file.tasks()
    for task_id, cancelled in said.items():
        assert rows[task_id]["status"] == ("cancelled" if cancelled else "completed")
    file.assert_exact(cancelled=winners[True], completed=winners[False])


def _nothing() -> Any:
    return trio.CancelScope()


async def race_to_lose(crowd: Crowd, said: dict[str, bool]) -> None:
    """A cancel just after the end, so that completion wins at least once."""
    ticket = await crowd.quick.submit(number=0)
    await ticket.result()
    said[ticket.task_id] = await ticket.cancel()


async def test_no_slot_leaks_when_workers_crash_again_and_again(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Worker.receive
    crashes: list[Worker] = []

    async def receive(worker: Worker, batch: Sequence[Any]) -> None:
        if len(crashes) % 2:
            await real(worker, batch)
        if len(crashes) < 4:
            crashes.append(worker)
            raise ZeroDivisionError("a worker's bug")
        if len(crashes) % 2 == 0:
            await real(worker, batch)

    monkeypatch.setattr(Worker, "receive", receive)
    crowd = Crowd(file)
    async with crowd.running():
        for number in range(20):
            await (await crowd.quick.submit(number=number)).result()
        assert len(crashes) == 4
        crowd.runs.clear()
        tickets = await crowd.app.submit_many(crowd.gated_thread.request(number=n) for n in range(THREADS))
        await until(lambda: len(crowd.runs) == THREADS)  # all slots of the lane at once
        crowd.open()
        for ticket in tickets:
            await ticket.result()
        await until(lambda: not crowd.app.running_node.running.leased)
        crowd.assert_whole()
    file.assert_exact(completed=20 + THREADS)


@pytest.mark.parametrize("mode", MODES)
async def test_no_slot_leaks_when_the_worker_of_any_mode_crashes_amid_its_tasks(
    mode: str, file: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, app = Worker.receive, declared(str(file.path))
    crashes: list[Worker] = []

    async def receive(worker: Worker, batch: Sequence[Any]) -> None:
        mine = worker._lane.name == mode and (tmp_path / "go").exists()
        if mine and not crashes:
            crashes.append(worker)
            raise ZeroDivisionError("a worker's bug, before")
        await real(worker, batch)
        if mine and len(crashes) == 1:
            crashes.append(worker)
            raise ZeroDivisionError("a worker's bug, after")

    monkeypatch.setattr(Worker, "receive", receive)
    with trio.fail_after(40):
        async with app.running():
            tickets = await app.submit_many(TaskRequest(mode, {"folder": str(tmp_path)}) for _ in range(3 * SLOTS))
            await until((tmp_path / f"{mode}.1").exists)
            await until(lambda: app.metrics().lanes[mode].running == SLOTS)
            (tmp_path / "go").touch()
            assert [await ticket.result() for ticket in tickets] == [1] * 3 * SLOTS
            assert len(crashes) == 2
            await until(lambda: not app.running_node.running.leased)
            lane = app.metrics().lanes[mode]
            assert (lane.running, lane.free, lane.stuck) == (0, SLOTS, 0)
    file.assert_exact(completed=3 * SLOTS)


class Wall:
    """A wall clock that can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = 0.0
        monkeypatch.setattr(opening, "Clock", lambda *given: Clock(*given or (self.read,)))

    def read(self) -> float:
        return time.time() + self.offset


async def test_a_wall_clock_that_steps_back_delays_nothing(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    wall, crowd = Wall(monkeypatch), Crowd(file)
    async with crowd.running():
        await (await crowd.quick.submit(number=1)).result()
        delayed = await crowd.quick.options(delay=0.5).submit(number=2)
        failing = await crowd.fails_once.submit(number=3)
        before = wall.read()
        wall.offset = -3600.0
        assert wall.read() < before - 3000, "the clock did not step back"
        late = await crowd.quick.options(delay=0.2).submit(number=4)
        began = time.monotonic()
        for ticket in (delayed, failing, late):
            await ticket.result()
        assert time.monotonic() - began < 5
    for row in file.tasks().values():
        assert row["status"] == "completed"
        assert row["created_at"] <= row["started_at"] <= row["completed_at"]


async def test_tasks_that_were_due_start_after_a_restart_with_a_clock_that_was_set_back(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, crowd = Wall(monkeypatch), Crowd(file)
    async with crowd.running():
        await crowd.app.pause(task_type="quick")
        ticket = await crowd.quick.submit(number=1)
        assert await ticket.status() is TaskStatus.PENDING
    wall.offset = -3600.0
    async with crowd.running():
        await crowd.app.resume(task_type="quick")
        assert await crowd.app.ticket(ticket.task_id).result() == 1

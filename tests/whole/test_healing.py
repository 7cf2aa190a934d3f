"""Each actor crashes while 200 tasks run: the tree heals, nothing is lost, and the counts stay exact."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import attrs
import pytest
import trio

from actors import TaskRequest, errors
from actors.kernel import Actor, ChildSnapshot, State
from actors.system.intake import Intake
from actors.system.monitor import Monitor
from actors.system.retry import Retry
from actors.system.scheduler import Scheduler
from actors.system.storage import Storage
from actors.system.timeout import Timeout
from actors.system.worker import Worker
from tests.waiting import until
from tests.whole.crowd import Crowd
from tests.whole.table import File

KINDS: dict[str, type[Actor[Any]]] = {
    "storage": Storage,
    "monitor": Monitor,
    "timeout": Timeout,
    "retry": Retry,
    "worker:coroutine": Worker,
    "worker:thread": Worker,
    "scheduler": Scheduler,
    "intake": Intake,
}
RUNNING = 200
QUICK, FAILING, BY_CHANNEL = 60, 20, 20


class Bug(Exception):
    """Raised inside of actors by these tests."""


class Fuse:
    """Makes the actor *name* crash `left` times, each at a batch.

    Args:
        when: "before" the batch is handled, or "after" it, before the kernel hears of that.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, when: str, left: int = 1) -> None:
        self.left = left
        self.armed = False
        kind = KINDS[name]
        real = kind.receive

        async def receive(actor: Any, batch: Sequence[Any]) -> None:
            mine = self.armed and (":" not in name or name == f"worker:{actor._lane.name}")
            if mine and when == "before":
                self._blow()
            await real(actor, batch)
            if mine and when == "after":
                self._blow()

        monkeypatch.setattr(kind, "receive", receive)

    def _blow(self) -> None:
        if self.left > 0:
            self.left -= 1
            raise Bug(f"{self.left} more to come")


def child(crowd: Crowd, name: str) -> ChildSnapshot:
    (found,) = [child for child in crowd.app.tree() if child.name == name]
    return found


async def keep_busy(crowd: Crowd) -> int:
    """Give every actor something to do while the fuse burns; how many tasks that will complete; one is cancelled."""
    channel = crowd.app.requests()
    async with channel, trio.open_nursery() as nursery:
        nursery.start_soon(cancel_one, crowd)
        for number in range(QUICK):
            nursery.start_soon(submit_until_taken, crowd, crowd.quick.request(number=number))
        for number in range(FAILING):
            nursery.start_soon(submit_until_taken, crowd, crowd.fails_once.request(number=number))
        await submit_until_taken(crowd, crowd.gated_thread.request(number=-1))
        for number in range(BY_CHANNEL):
            await channel.send(with_id(crowd, crowd.quick.request(number=number)))
    return QUICK + FAILING + BY_CHANNEL + 1


async def cancel_one(crowd: Crowd) -> None:
    task_id = await submit_until_taken(crowd, crowd.endless.request(number=0))
    await until(lambda: task_id in crowd.tables.tasks("status = 'running'"))
    while True:
        with suppress(errors.StorageUnavailable):
            await crowd.app.cancel(task_id)
            return


def with_id(crowd: Crowd, request: TaskRequest) -> TaskRequest:
    """As a careful caller asks, so that asking again is asking for the same."""
    node = crowd.app.running_node
    return attrs.evolve(request, task_id=node.chance.task_id(node.clock.wall()))


async def submit_until_taken(crowd: Crowd, request: TaskRequest) -> str:
    """Ask again when storage says that it failed."""
    request = with_id(crowd, request)
    while True:
        with suppress(errors.StorageUnavailable):
            return (await crowd.app.submit(request)).task_id


# Twice at the same message: it is given up. A request that was not acknowledged, and a hint to stop, may be lost so.
@pytest.mark.parametrize(
    ("name", "when", "times"),
    [(name, when, 1) for name in KINDS for when in ("before", "after")]
    + [(name, "before", 2) for name in KINDS if name not in ("intake", "timeout")],
)
async def test_a_crash_under_load_loses_nothing(
    name: str, when: str, times: int, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse = Fuse(monkeypatch, name, when, times)
    crowd = Crowd(file)
    async with crowd.running():
        tickets = await crowd.fill(RUNNING)
        fuse.armed = True
        total = RUNNING + await keep_busy(crowd)
        if name == "worker:thread":
            crowd.open()  # its lane is full: it has nothing to do before something ends there
        await until(lambda: child(crowd, name).restarts >= 1 and child(crowd, name).state is State.RUNNING)
        crowd.open()
        for ticket in tickets:
            assert isinstance(await ticket.result(), int)
        await until(lambda: file.by_status()["completed"] == total)
        await until(lambda: not crowd.app.running_node.running.leased)
        assert fuse.left == 0, "the actor did not crash as often as it should"
        crowd.assert_whole()
        assert [other.name for other in crowd.app.tree() if other.restarts] == [name]
    file.assert_exact(completed=total, cancelled=1)
    assert len(set(crowd.runs)) == len(crowd.runs), "an attempt ran twice"


async def _run_until_it_fails(crowd: Crowd, fuse: Fuse) -> None:
    async with crowd.running():
        await crowd.fill(RUNNING)
        fuse.armed = True
        crowd.thread_gate.set()
        while True:
            with trio.move_on_after(0.3):
                await keep_busy(crowd)
                await trio.sleep_forever()


@pytest.mark.parametrize("name", KINDS)
async def test_an_actor_that_crashes_on_every_message_fails_the_system_with_its_cause_and_loses_nothing(
    name: str, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse = Fuse(monkeypatch, name, "before", left=1_000_000)
    crowd = Crowd(file, grace=0.2)
    with pytest.raises(errors.SystemFailed, match=name) as failed:
        await _run_until_it_fails(crowd, fuse)
    assert isinstance(failed.value.__cause__, Bug)
    fuse.armed = False
    crowd.open()
    async with crowd.running():
        for task_id in file.tasks("task_type = 'endless' AND status IN ('pending', 'running')"):
            await crowd.app.cancel(task_id)
        await until(lambda: not file.tasks("status IN ('pending', 'running', 'retrying')"))
    assert file.by_status() == file.counted_by_status()
    assert {row["status"] for row in file.tasks().values()} <= {"completed", "cancelled"}
    assert {row["crash_count"] for row in file.tasks().values()} == {0}


@pytest.mark.parametrize("name", ["storage", "monitor", "timeout", "worker:coroutine", "scheduler"])
async def test_an_actor_that_crashes_at_every_start_fails_the_system_with_its_cause(
    name: str, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def started(_: object) -> None:
        raise Bug("at the start")

    monkeypatch.setattr(KINDS[name], "started", started)
    crowd = Crowd(file)
    with pytest.raises(errors.SystemFailed, match=name) as failed:
        async with crowd.running():
            raise AssertionError("it cannot have started")
    assert isinstance(failed.value.__cause__, Bug)


@pytest.mark.parametrize("name", ["storage", "monitor", "timeout", "worker:coroutine", "scheduler"])
async def test_an_actor_that_crashes_at_its_first_start_starts_again(
    name: str, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = KINDS[name].started
    crashes: list[object] = []

    async def started(actor: Any) -> None:
        if not crashes:
            crashes.append(actor)
            raise Bug("at the first start")
        await real(actor)

    monkeypatch.setattr(KINDS[name], "started", started)
    crowd = Crowd(file)
    async with crowd.running():
        assert len(crashes) == 1
        assert await (await crowd.quick.submit(number=3)).result() == 3

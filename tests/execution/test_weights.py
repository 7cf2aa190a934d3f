"""Children that have grown too heavy go: one above its share after its call, the largest when the node is too heavy."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import trio

from actors.execution.process import weights
from actors.execution.process.weights import Weights
from tests.execution import belongings
from tests.execution.process_handlers import touch
from tests.execution.processes import begun, in_process, processes
from tests.waiting import until

KNOWN = {function.__name__: in_process(function) for function in (belongings.leak, belongings.pid, belongings.hold)}


class Child:
    """What a child is to its weight."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_leaving = False


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Resident memory in MB by pid, as the system tells it."""
    used: dict[int, float] = {1: 30, 2: 30, 3: 30, 4: 30}

    class Process:
        def __init__(self, pid: int) -> None:
            self.pid = pid

        def memory_info(self) -> Any:
            if self.pid not in used:
                raise psutil.NoSuchProcess(self.pid)
            return SimpleNamespace(rss=used[self.pid] * 1e6)

    monkeypatch.setattr(psutil, "Process", Process)
    monkeypatch.setattr(weights, "LOOK_EVERY", 0)
    return used


def begun_of(limit: float | None, slots: int, *children: Any) -> Weights:
    """The weights of *children* that are ready."""
    found = Weights(limit, slots)
    for child in children:
        found.begin(child)
    return found


def test_a_child_is_too_heavy_above_its_share_of_the_limit(
    sizes: dict[int, float], caplog: pytest.LogCaptureFixture
) -> None:
    child: Any = Child(1)
    found = begun_of(1000, 3, child)
    with caplog.at_level(logging.INFO):
        for used, too_heavy in ((30, False), (250, False), (251, True), (300, True)):
            sizes[1] = used
            assert found.is_too_heavy(child) is too_heavy
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "process 1 uses 251 MB, more than one of 3 processes may (250 MB): it is retired (TASK_MEMORY_LIMIT_MB is 1000)"
    )
    assert (record.__dict__["memory_used_mb"], record.__dict__["memory_limit_mb"]) == (251, 1000)


def test_one_that_is_no_heavier_than_a_new_one_would_be_stays(sizes: dict[int, float]) -> None:
    child: Any = Child(1)
    found = begun_of(40, 3, child)
    sizes[1] = 60
    assert not found.is_too_heavy(child)
    sizes[1] = 61
    assert found.is_too_heavy(child)


def test_without_a_limit_nothing_is_looked_at_and_what_is_dead_weighs_nothing(sizes: dict[int, float]) -> None:
    child, dead, gone = Child(1), Child(7), Child(2)
    free, bound = begun_of(None, 3, child), begun_of(100, 3, dead, gone)
    sizes[1] = 1e9
    del sizes[2]
    assert [free.is_too_heavy(child), bound.is_too_heavy(dead), bound.is_too_heavy(gone)] == [False] * 3  # type: ignore[arg-type]


def test_a_child_is_not_looked_at_again_at_once(sizes: dict[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "LOOK_EVERY", 1000)
    child: Any = Child(1)
    found = begun_of(100, 1, child)
    assert not found.is_too_heavy(child)
    sizes[1] = 1000
    assert not found.is_too_heavy(child)


def test_the_largest_idle_ones_go_first_then_those_at_work_and_no_more_than_needed(
    sizes: dict[int, float], caplog: pytest.LogCaptureFixture
) -> None:
    small, large, busy, busier = everyone = [Child(pid) for pid in (1, 2, 3, 4)]
    found = begun_of(1000, 3, *everyone)
    used = {1: 40.0, 2: 60.0, 3: 100.0, 4: 200.0}

    def condemned(excess: float) -> list[Child]:
        return list(found.condemn(excess, used, [small, large]))  # type: ignore[arg-type,list-item]

    with caplog.at_level(logging.INFO):
        assert condemned(0) == []
        assert condemned(50) == [large]
        large.is_leaving = True
        assert condemned(60) == []  # it is on its way
        assert condemned(110) == [small, busier]
        small.is_leaving = True
        assert condemned(200) == []  # there will be enough when a call has ended
        busy.is_leaving = True
        assert condemned(10_000) == []
    assert [found.is_too_heavy(child) for child in everyone] == [True, True, False, True]  # type: ignore[arg-type]
    assert caplog.messages[0] == (
        "process 2 uses 60 MB, and this node more than it may: it is retired (TASK_MEMORY_LIMIT_MB is 1000)"
    )


async def test_a_child_whose_handler_leaks_is_replaced_after_the_call_that_passed_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "LOOK_EVERY", 0)
    async with processes(KNOWN, memory_limit=450) as run:  # 150 for each of two, and for this one
        found = [await run.result(belongings.leak, mb=80) for _ in range(4)]
    assert found[0] == found[1] != found[2] == found[3]


async def test_a_node_that_is_too_heavy_lets_idle_children_go_at_once_and_the_others_after_their_calls(
    tmp_path: Path,
) -> None:
    path = tmp_path / "begun"
    async with processes(KNOWN, memory_limit=100_000) as run:
        held: list[int] = []

        async def hold() -> None:
            held.append(await run.result(belongings.hold, path=str(path), mb=1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold)
            await begun(path)
            await until(lambda: len(run.pool.children) == 2)
            idle = await run.result(belongings.pid)
            everyone = {child.pid for child in run.pool.children}
            run.pool.relieve(1e6, dict.fromkeys(everyone, 50.0))
            await until(lambda: idle not in {child.pid for child in run.pool.children})
            assert held == []
            touch(f"{path}.enough")
        assert held[0] in everyone - {idle}
        assert await run.result(belongings.pid) not in (idle, held[0])
        await until(lambda: held[0] not in {child.pid for child in run.pool.children})

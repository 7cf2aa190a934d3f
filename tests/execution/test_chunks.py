"""Small calls that travel to a child several at a time: each has its own outcome, stop and limits."""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from actors.core.outcome import Cancelled, Finished, Outcome, Raised, Returned
from actors.core.request import NewTask, TaskRequest
from actors.core.stop import StopReason
from actors.core.task import Progress
from actors.execution.attempt import Attempt
from actors.execution.context import here
from actors.execution.process import queue
from tests.execution import process_handlers as handlers
from tests.execution import world
from tests.execution.processes import SOON, Processes, processes
from tests.waiting import until

SMALL = 1e-5


def queued(attempt: Attempt) -> bool:
    """Whether its call has yet to begin."""
    return attempt.waits


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nobody is moved or given back for it."""
    monkeypatch.setattr(queue, "PATIENCE", 1000.0)
    monkeypatch.setattr(queue, "MOST_WAIT", 1000.0)


@pytest.fixture
def no_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given back, however long it takes to start a child."""
    monkeypatch.setattr(queue, "MOST_WAIT", 1000.0)


class Chunk:
    """Attempts that were started in one go, and what they have come to."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self.attempts = attempts
        self.outcomes: dict[int, Outcome] = {}
        self.ends = 0

    async def run(self, number: int) -> None:
        outcome = await self.attempts[number].run()
        self.attempts[number].close()
        self.outcomes[number] = outcome
        self.ends += 1

    def result(self, number: int) -> Any:
        """What it returned."""
        outcome = self.outcomes[number]
        assert isinstance(outcome, Finished), outcome
        return orjson.loads(outcome.result)

    async def ended(self, *numbers: int) -> None:
        """Wait for the ends of these."""
        await until(lambda: all(number in self.outcomes for number in numbers), SOON)


@asynccontextmanager
async def started(run: Processes, calls: list[Attempt]) -> AsyncIterator[Chunk]:
    """Run *calls*, in their order; the block ends with the last of them, and the children are free again then."""
    chunk = Chunk(calls)
    async with trio.open_nursery() as nursery:
        try:
            for number in range(len(calls)):
                nursery.start_soon(chunk.run, number)
                await trio.lowlevel.checkpoint()
            yield chunk
        except BaseException:  # attempts do not end by a cancel of whoever started them
            for attempt in calls:
                attempt.force(StopReason.SHUTDOWN)
            raise
    assert chunk.ends == len(chunk.outcomes) == len(calls)
    assert run.pool.queue.waiting == 0
    assert not run.pool.queue.working


def notes(run: Processes, path: Path, count: int, **what: Any) -> list[Attempt]:
    """Calls of a type that is small, each of which writes its number to *path*."""
    run.pool.pace.saw("note", SMALL)
    return [run.call(handlers.note, path=str(path), number=number, **what) for number in range(count)]


def written(path: Path) -> list[int]:
    """The numbers of those that have begun."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.usefixtures("patience")
async def test_small_calls_share_a_child_and_each_gets_its_own_result(tmp_path: Path) -> None:
    async with processes(slots=1) as run, started(run, notes(run, tmp_path / "notes", 100)) as chunk:
        pass
    found = [chunk.result(number) for number in range(100)]
    assert [number for number, _ in found] == list(range(100))
    assert len({pid for _, pid in found}) == 1
    assert written(tmp_path / "notes") == list(range(100))


@pytest.mark.usefixtures("patience")
async def test_small_calls_are_spread_over_as_many_children_as_there_are_slots(tmp_path: Path) -> None:
    async with processes(slots=2) as run:
        await run.result(handlers.double, number=1)
        await until(lambda: len(run.pool._idle) == 2)
        async with started(run, notes(run, tmp_path / "notes", 60)) as chunk:
            pass
        await until(lambda: len(run.pool.children) == 3)  # with the one ahead
    assert len({chunk.result(number)[1] for number in range(60)}) == 2


async def test_a_type_that_was_never_measured_has_a_child_for_each_of_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with processes(slots=1) as run:
        calls = [run.call(handlers.note, path=str(path), number=number, wait_at=number) for number in range(3)]
        async with started(run, calls) as chunk:
            await until(lambda: len(written(path)) == 3, SOON)
            handlers.touch(f"{path}.go")
    assert len({chunk.result(number)[1] for number in range(3)}) == 3


async def test_what_was_measured_decides(tmp_path: Path) -> None:
    async with processes(slots=1) as run:
        assert run.pool.pace.depth("double") == 1
        await run.result(handlers.double, number=1)
        assert run.pool.pace.depth("double") > 1
        run.pool.pace.saw("double", 1.0)
        assert run.pool.pace.depth("double") == 1


@pytest.mark.usefixtures("patience")
async def test_a_crash_in_the_midst_of_a_chunk_fails_that_call_alone(tmp_path: Path) -> None:
    async with processes(slots=1) as run, started(run, notes(run, tmp_path / "notes", 30, crash_at=13)) as chunk:
        pass
    assert [number for number, outcome in chunk.outcomes.items() if isinstance(outcome, Raised)] == [13]
    assert {chunk.result(number)[0] for number in range(30) if number != 13} == set(range(30)) - {13}
    assert sorted(written(tmp_path / "notes")) == list(range(30)), "each began once"


@pytest.mark.usefixtures("no_way_back")
@pytest.mark.parametrize("what", ["compute_at", "wait_at"])
async def test_one_that_takes_long_does_not_hold_up_those_behind_it(what: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with processes(slots=2) as run, started(run, notes(run, path, 20, **{what: 0})) as chunk:
        await chunk.ended(*range(1, 20))
        assert run.pool.pace.depth("note") == 1 or 0 not in chunk.outcomes
        chunk.attempts[0].force(StopReason.CANCEL)
    assert chunk.outcomes[0] == Cancelled()
    assert sorted(written(path)) == list(range(20))


async def test_those_that_find_no_child_for_a_second_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with processes(slots=1) as run, started(run, notes(run, path, 5, wait_at=0)) as chunk:
        await chunk.ended(1, 2, 3, 4)
        assert written(path) == [0]
        handlers.touch(f"{path}.go")
    assert [chunk.outcomes[number] for number in range(1, 5)] == [Returned()] * 4
    assert chunk.result(0)[0] == 0


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("reason", "outcome"), [(StopReason.CANCEL, Cancelled()), (StopReason.SHUTDOWN, Returned())])
@pytest.mark.parametrize("way", ["stop", "force"])
async def test_a_stop_of_one_that_has_not_begun_ends_it_at_once_and_harms_nobody(
    reason: StopReason, outcome: Outcome, way: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with processes(slots=1) as run, started(run, notes(run, path, 6, wait_at=0)) as chunk:
        await until(lambda: written(path) == [0] and [queued(one) for one in chunk.attempts] == [False] + [True] * 5)
        getattr(chunk.attempts[3], way)(reason)
        await chunk.ended(3)
        assert list(chunk.outcomes) == [3]
        handlers.touch(f"{path}.go")
    assert chunk.outcomes[3] == outcome
    assert written(path) == [0, 1, 2, 4, 5]
    assert len({chunk.result(number)[1] for number in (0, 1, 2, 4, 5)}) == 1


@pytest.mark.usefixtures("patience")
async def test_the_hard_stage_of_the_one_that_runs_leaves_the_others_to_another_child(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with processes(slots=1) as run, started(run, notes(run, path, 6, compute_at=2)) as chunk:
        await until(lambda: 2 in written(path))
        chunk.attempts[2].force(StopReason.CANCEL)
    assert chunk.outcomes[2] == Cancelled()
    assert sorted(written(path)) == list(range(6))
    assert {chunk.result(number)[0] for number in range(6) if number != 2} == {0, 1, 3, 4, 5}


@pytest.mark.usefixtures("patience")
async def test_the_limits_of_a_call_count_from_when_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with processes(slots=1) as run, started(run, notes(run, path, 2, wait_at=0)) as chunk:
        first, second = chunk.attempts
        await until(lambda: written(path) == [0] and queued(second))
        before = second.started
        handlers.touch(f"{path}.go")
        await chunk.ended(0, 1)
    assert not queued(second)
    assert second.started > before
    assert second.started >= first.started


@pytest.mark.usefixtures("patience")
async def test_the_deadline_that_a_handler_sees_counts_from_its_own_begin(tmp_path: Path) -> None:
    path, limits = tmp_path / "go", {"timeout_seconds": 100.0}
    async with processes(slots=1) as run:
        run.pool.pace.saw("deadline_of", SMALL)
        calls = [run.call(handlers.deadline_of, limits=limits, path=str(path), wait=number == 0) for number in range(2)]
        async with started(run, calls) as chunk:
            await until(lambda: queued(calls[1]))
            given = trio.current_time()
            await until(lambda: trio.current_time() > given + 0.2)
            handlers.touch(str(path))
    assert chunk.result(1) > chunk.result(0) + 0.1  # the world's clock stands still between the two
    assert world.NOW + 100 <= chunk.result(0) < world.NOW + 100 + SOON


@pytest.mark.usefixtures("patience")
async def test_what_a_call_says_is_told_of_its_own_task_in_its_own_context(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Attempt, Progress]] = []
    asked: list[str] = []

    def child(request: TaskRequest) -> NewTask:
        asked.append(f"{here()!r} {request.input_data['number']}")
        return new_child(request)

    new_child = world.child
    monkeypatch.setattr(world, "child", child)
    async with processes(slots=1) as run:
        monkeypatch.setattr(run, "_report", lambda attempt, progress: told.append((attempt, progress)))
        run.pool.pace.saw("say_number", SMALL)
        calls = [run.call(handlers.say_number, number=number) for number in range(20)]
        with caplog.at_level(logging.WARNING):
            async with started(run, calls) as chunk:
                pass
    assert [(chunk.attempts.index(attempt), word.fraction) for attempt, word in told] == [
        (number, number / 1000) for number in range(20)
    ]
    assert asked == [f"{calls[number].context!r} {number}" for number in range(20)]
    assert [record.getMessage() for record in caplog.records] == [f"number {number}" for number in range(20)]
    for outcome in chunk.outcomes.values():
        assert isinstance(outcome, Finished)
        assert len(outcome.children) == 1


async def test_a_payload_that_is_no_small_one_goes_alone(tmp_path: Path) -> None:
    async with processes(slots=1) as run:
        run.pool.pace.saw("remember", SMALL)
        calls = [run.call(handlers.remember, value="x" * 100_000) for _ in range(2)]
        async with started(run, calls) as chunk:
            assert [attempt.waits for attempt in calls] == [False, False]
    assert [chunk.result(number) for number in range(2)] == ["clean", "clean"]


@pytest.mark.usefixtures("patience")
async def test_children_are_replaced_after_so_many_small_calls_too(tmp_path: Path) -> None:
    async with processes(slots=1, calls_per_child=7) as run, started(run, notes(run, tmp_path / "notes", 40)) as chunk:
        pass
    found = [chunk.result(number)[1] for number in range(40)]
    assert max(found.count(pid) for pid in found) <= 7


@pytest.mark.usefixtures("no_way_back")
@pytest.mark.parametrize("seed", range(3))
async def test_under_random_kills_and_stops_each_call_has_one_outcome_and_it_is_its_own(
    seed: int, tmp_path: Path
) -> None:
    path, chance = tmp_path / "notes", random.Random(seed)
    stopped, killed = set[int](), 0
    async with processes(slots=2) as run, started(run, notes(run, path, 150)) as chunk:
        for _ in range(25):
            await until(lambda before=chunk.ends: chunk.ends > before or chunk.ends == 150)  # type: ignore[misc]
            left = [number for number in range(150) if number not in chunk.outcomes]
            if chance.random() < 0.3 and (busy := [child for child in run.pool.children if child.turns]):
                os.kill(chance.choice(busy).pid, signal.SIGKILL)
                killed += 1
            elif left:
                number = chance.choice(left)
                stopped.add(number)
                getattr(chunk.attempts[number], chance.choice(["stop", "force"]))(StopReason.CANCEL)
    failed = [number for number, outcome in chunk.outcomes.items() if isinstance(outcome, Raised)]
    assert len(failed) <= killed
    for number, outcome in chunk.outcomes.items():
        if isinstance(outcome, Finished):
            assert chunk.result(number)[0] == number
        else:
            assert number in stopped or number in failed
    begun = written(path)
    assert len(begun) == len(set(begun)), "none began twice"

"""Children that die by themselves, or are killed by others: their attempt fails, and nothing else does."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import RetryPolicy
from actors.core.errors import ProcessDied
from actors.core.outcome import Outcome, Raised, Returned
from actors.core.stop import StopReason
from tests.execution import process_handlers as handlers
from tests.execution.processes import SOON, begun, lives, processes
from tests.waiting import until


@pytest.mark.parametrize(
    ("function", "payload", "words"),
    [
        (handlers.segfault, {}, "was killed by signal 11 (SIGSEGV)"),
        (handlers.end, {"code": 3}, "ended with exit code 3"),
        (handlers.end, {"code": 0}, "ended with exit code 0"),
        (handlers.close_everything, {}, "was killed by signal 9 (SIGKILL)"),
    ],
    ids=["segfault", "exit", "exit-0", "closed-its-lines"],
)
async def test_a_child_that_dies_fails_its_attempt_with_the_signal_or_the_exit_code(
    function: Callable[..., Any], payload: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes() as run:
        outcome = await run.raised(function, **payload)
        assert await run.result(handlers.double, number=1) == 2
    assert isinstance(outcome.error, ProcessDied)
    assert (outcome.info.type, outcome.info.traceback) == ("ProcessDied", "")
    assert words in outcome.info.message
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert vars(caplog.records[0])["task_type"] == function.__name__


async def test_a_death_is_told_as_such_in_whatever_order_the_node_hears_of_it() -> None:
    async with processes() as run:
        told = [(await run.raised(handlers.end, code=1)).info.type for _ in range(30)]
    assert told == ["ProcessDied"] * 30


async def test_a_death_is_retried_by_policy_like_an_error() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.end, code=1)
    assert not outcome.final
    assert RetryPolicy().takes(outcome.error)
    assert not RetryPolicy(retry_on=ConnectionError).takes(outcome.error)
    assert not RetryPolicy(never_on=ProcessDied).takes(outcome.error)


async def test_a_child_that_is_killed_from_outside_fails_its_attempt_and_its_neighbours_go_on(tmp_path: Path) -> None:
    outcomes: dict[str, Outcome] = {}

    async def to_its_end(name: str) -> None:
        outcomes[name] = await run.call(handlers.finish_when_stopped, path=str(tmp_path / name)).run()

    async with processes(slots=3) as run, trio.open_nursery() as nursery:
        nursery.start_soon(to_its_end, "victim")
        await begun(tmp_path / "victim")
        (victim,) = [child for child in run.pool.children if child.calls]
        neighbour = run.call(handlers.finish_when_stopped, path=str(tmp_path / "neighbour"))
        nursery.start_soon(neighbour.run)
        await begun(tmp_path / "neighbour")
        os.kill(victim.pid, signal.SIGKILL)
        await until(lambda: "victim" in outcomes, SOON)
        neighbour.stop(StopReason.SHUTDOWN)
    outcome = outcomes["victim"]
    assert isinstance(outcome, Raised)
    assert outcome.info.message == (
        "the process that ran it was killed by signal 9 (SIGKILL), from outside or for want of memory"
    )


async def test_a_death_in_the_grace_time_of_a_shutdown_is_charged_to_nobody(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []

    async def to_its_end() -> None:
        outcomes.append(await attempt.run())

    async with processes() as run, trio.open_nursery() as nursery:
        attempt = run.call(handlers.compute, path=str(tmp_path / "begun"))
        nursery.start_soon(to_its_end)
        await begun(tmp_path / "begun")
        attempt.stop(StopReason.SHUTDOWN)
        (child,) = [child for child in run.pool.children if child.calls]
        os.kill(child.pid, signal.SIGKILL)
    assert outcomes == [Returned()]


async def test_the_family_of_a_child_that_dies_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "family"
    async with processes() as run:
        await run.raised(handlers.segfault_with_a_family, path=str(path))
        family = await begun(path)
        await until(lambda: not any(lives(pid) for pid in family), 1.0)


async def test_a_child_that_computes_ends_itself_when_nobody_holds_the_other_end_of_its_control_line(
    tmp_path: Path,
) -> None:
    """What keeps children from outliving their node where the kernel does not."""
    outcomes: list[Outcome] = []

    async def to_its_end() -> None:
        outcomes.append(await run.call(handlers.loop, path=str(tmp_path / "begun")).run())

    async with processes() as run, trio.open_nursery() as nursery:
        nursery.start_soon(to_its_end)
        await begun(tmp_path / "begun")
        (child,) = [child for child in run.pool.children if child.calls]
        child._control.shutdown(socket.SHUT_WR)
        await until(lambda: not lives(child.pid), 1.0)
    assert isinstance(outcomes[0], Raised)
    assert isinstance(outcomes[0].error, ProcessDied)


async def test_an_idle_child_that_dies_is_buried_and_never_called() -> None:
    async with processes() as run:
        await run.result(handlers.double, number=1)
        killed = run.pool.children
        for child in killed:
            os.kill(child.pid, signal.SIGKILL)
        await until(lambda: all(child.gone.is_set() for child in killed))
        assert not set(run.pool.children) & set(killed)
        assert await run.result(handlers.double, number=2) == 4


async def test_of_many_attempts_only_those_fail_whose_child_dies() -> None:
    ended: list[tuple[int, bool]] = []

    async def one(number: int) -> None:
        attempt = run.call(handlers.segfault) if number % 10 == 0 else run.call(handlers.double, number=number)
        async with slots:
            outcome = await attempt.run()
        ended.append((number, isinstance(outcome, Raised)))

    slots = trio.CapacityLimiter(4)
    async with processes(slots=4) as run, trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(one, number)
    assert sorted(ended) == [(number, number % 10 == 0) for number in range(60)]

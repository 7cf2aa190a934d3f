"""How many children there are, how long they live, and that nothing is left of them."""

from __future__ import annotations

import sys

import psutil
import pytest
import trio

from actors.core.errors import HandlerNotImportable, ProcessDied
from actors.execution.process import child_process
from actors.execution.process.pool import Pool
from tests.execution import process_handlers as handlers
from tests.execution.processes import in_process, open_files, processes
from tests.execution.world import handler
from tests.waiting import until


async def test_without_a_handler_that_needs_one_no_child_is_started() -> None:
    async with Pool({"double": handler(handlers.double)}, 2, 100).running():
        assert psutil.Process().children() == []


async def test_one_child_is_started_ahead_and_the_one_that_worked_last_works_next() -> None:
    async with processes() as run:
        assert len(run.pool.children) == 1
        child = await run.result(handlers.who)
        await until(lambda: len(run.pool.children) == 2)
        assert [await run.result(handlers.who) for _ in range(5)] == [child] * 5
        assert len(run.pool.children) == 2


async def test_a_child_is_replaced_after_so_many_calls() -> None:
    async with processes(calls_per_child=2) as run:
        found = [await run.result(handlers.who) for _ in range(6)]
    assert found[0::2] == found[1::2]
    assert len(set(found)) == 3


async def test_no_more_children_stay_warm_than_were_asked_for() -> None:
    async with processes(slots=1) as run:
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(run.call(handlers.double, number=number).run)
        await until(lambda: len(run.pool.children) <= 2)


async def test_attempts_wait_for_children_that_have_yet_to_start() -> None:
    found: list[int] = []

    async def one() -> None:
        found.append(await run.result(handlers.who))

    async with processes(slots=3) as run, trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(one)
    assert len(found) == 6


async def test_five_hundred_calls_leave_no_descriptors_no_zombies_and_no_children_behind() -> None:
    async with processes(calls_per_child=50) as run:
        await run.result(handlers.double, number=0)
        await until(lambda: len(run.pool.children) == 2)
        before = open_files()
        for number in range(500):
            assert await run.result(handlers.double, number=number) == 2 * number
        await until(lambda: len(run.pool.children) == 2 and open_files() <= before)
        assert [child.status() for child in psutil.Process().children() if child.status() == "zombie"] == []


async def test_a_child_that_cannot_import_a_handler_says_which_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "only_here", only_here, raising=False)
    monkeypatch.setattr(only_here, "__module__", handlers.__name__)
    with pytest.raises(HandlerNotImportable) as caught:
        async with processes({"only_here": in_process(only_here)}):
            pytest.fail("it runs")
    assert str(caught.value) == (
        "a new process cannot import 'tests.execution.process_handlers': AttributeError:"
        " module 'tests.execution.process_handlers' has no attribute 'only_here'"
    )


def only_here() -> None:
    """Moved in the node to where no child will find it."""


async def test_a_child_that_dies_while_it_imports_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "_PROGRAM", "raise SystemExit(3) # {root} {work} {control} {life}")
    with pytest.raises(ProcessDied, match="while it imported"):
        async with processes({"double": in_process(handlers.double)}):
            pytest.fail("it runs")


async def test_an_attempt_for_which_no_process_is_to_be_had_fails_and_the_next_one_may_do_better(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(calls_per_child=1) as run:
        with monkeypatch.context() as without:
            without.setattr(sys, "executable", "/nowhere/python")
            await run.result(handlers.double, number=0)  # the spare; no other can be started ahead
            await until(lambda: "no process could be started ahead" in caplog.text)
            outcome = await run.raised(handlers.double, number=1)
            assert outcome.info.type == "FileNotFoundError"
        assert await run.result(handlers.double, number=2) == 4


async def test_children_survive_the_cancel_of_whoever_opened_the_pool() -> None:
    known = {"double": in_process(handlers.double)}
    with trio.CancelScope() as scope:
        async with processes(known) as run:
            scope.cancel()
            with trio.CancelScope(shield=True):
                assert await run.result(handlers.double, number=1) == 2

"""Child processes and `TASK_MEMORY_LIMIT_MB`. Real processes and real memory."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

import psutil
import pytest
import trio

from actors import ExecutionMode, Settings, TaskSystem
from actors.system import memory, supervisor
from tests.execution import belongings
from tests.execution.process_handlers import touch
from tests.execution.processes import begun, lives
from tests.waiting import until

SOON = 30.0
"""Seconds within which everything here has happened, on a machine that is busy."""


def declared(file_url: str, limit: float | None, slots: int) -> TaskSystem:
    """A system with a handler that leaks, one that holds memory while it runs, and one that does neither."""
    app = TaskSystem(file_url, settings=Settings(memory_limit_mb=limit, max_cpu_workers=slots, grace_seconds=0.3))
    for function in (belongings.leak, belongings.hold, belongings.pid):
        app.register_handler(function.__name__, function, mode=ExecutionMode.PROCESS, max_retries=0)
    return app


async def run(app: TaskSystem, task_type: str, **payload: object) -> object:
    """The result of a task."""
    return await (await app.submit(app.declared(task_type).request((), payload))).result()


async def test_a_process_whose_handler_leaks_is_replaced_and_the_log_says_why(
    file_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    limit = 20 * 100
    app = declared(file_url, limit, 19)  # 100 MB for each process
    with caplog.at_level(logging.INFO), trio.fail_after(SOON):
        async with app.running():
            leaked = await run(app, "leak", mb=120)
            assert isinstance(leaked, int)
            assert await run(app, "pid") != leaked
            await until(lambda: not lives(leaked))
    (message,) = [record.getMessage() for record in caplog.records if "retired" in record.getMessage()]
    assert message.startswith(f"process {leaked} uses 1")
    assert message.endswith("more than one of 19 processes may (100 MB): it is retired (TASK_MEMORY_LIMIT_MB is 2000)")


async def test_small_tasks_that_leak_and_travel_together_wear_out_one_process_after_the_other(file_url: str) -> None:
    app = declared(file_url, 20 * 100, 19)
    with trio.fail_after(SOON):
        async with app.running():
            request = app.declared("leak").request((), {"mb": 10})
            tickets = await app.submit_many([request] * 60)
            pids = [await ticket.result() for ticket in tickets]
    assert len(set(pids)) > 1
    assert len(pids) == 60


async def test_without_a_limit_a_process_may_grow(file_url: str) -> None:
    app = declared(file_url, None, 1)
    with trio.fail_after(SOON):
        async with app.running():
            assert await run(app, "leak", mb=120) == await run(app, "pid")


async def test_what_processes_hold_counts_for_the_pause_of_claims_and_above_the_limit_they_go(
    file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SAMPLE_EVERY", 0.05)
    path = tmp_path / "begun"
    limit = memory.used_mb() + 300.0
    app = declared(file_url, limit, 1)
    with trio.fail_after(SOON):
        async with app.running():
            ticket = await app.submit(app.declared("hold").request((), {"path": str(path), "mb": int(limit)}))
            await begun(path)
            await until(lambda: app.metrics().claims_paused)
            await until(lambda: len(psutil.Process().children()) == 1)  # the spare one went at once
            waiting = await app.submit(app.declared("pid").request((), {}))
            touch(f"{path}.enough")
            held = await ticket.result()  # the call that it was in the midst of came to its end
            assert await waiting.result() != held
            assert not app.metrics().claims_paused
            await until(lambda: not lives(held))


async def test_a_node_that_is_itself_above_the_limit_keeps_no_process_that_is_idle(
    file_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    used, samples = [100.0], []

    def used_mb() -> float:
        samples.append(used[0])
        return used[0]

    monkeypatch.setattr(memory, "SAMPLE_EVERY", 0.01)
    monkeypatch.setattr(supervisor, "MemoryWatch", partial(memory.MemoryWatch, used_mb=used_mb))
    app = declared(file_url, 1000, 2)
    with caplog.at_level(logging.INFO), trio.fail_after(SOON):
        async with app.running():
            first = await run(app, "pid")
            await until(lambda: len(psutil.Process().children()) == 2)
            used[0] = 10_000
            await until(lambda: psutil.Process().children() == [])
            samples.clear()
            await until(lambda: len(samples) > 5)
            assert psutil.Process().children() == []  # none is started ahead, only to be retired
            used[0] = 100
            assert await run(app, "pid") not in (first, os.getpid())
    assert sum("and this node more than it may: it is retired" in message for message in caplog.messages) == 2

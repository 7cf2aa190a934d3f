"""Handlers that block the event loop, or run on though they were stopped, are named with their stack. Real time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import trio

from actors import ExecutionMode, Settings, TaskStatus, TaskSystem, Ticket
from actors.system.lag import BLOCKED_SECONDS
from tests.environment import untraced
from tests.whole import plain

BLOCKED = "the event loop has not answered"
COROUTINES = [ExecutionMode.COROUTINE, *([ExecutionMode.ASYNCIO] if find_spec("trio_asyncio") else [])]
STUCK = "runs on though it was stopped"


@pytest.fixture
def app(file_url: str) -> TaskSystem:
    """On a file, since only that has a writer's thread."""
    return TaskSystem(file_url)


class Log(logging.Handler):
    """Tells a blocked loop that it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """A record has come."""
        if BLOCKED in record.getMessage():
            self.heard.set()


@pytest.fixture
def log() -> Iterator[Log]:
    """Listens to the system's log."""
    handler = Log()
    logging.getLogger("actors.system").addHandler(handler)
    yield handler
    logging.getLogger("actors.system").removeHandler(handler)


def compute(log: Log) -> None:
    """What no coroutine should do: hold the loop until the warning has come."""
    assert log.heard.wait(20 * BLOCKED_SECONDS)


def told(caplog: pytest.LogCaptureFixture, words: str) -> logging.LogRecord:
    """The one warning with *words*."""
    (record,) = [record for record in caplog.records if words in record.getMessage()]
    assert record.levelno == logging.WARNING
    return record


def about(record: logging.LogRecord, ticket: Ticket[Any]) -> bool:
    """Whether it names the task, in its words and in its data."""
    return ticket.task_id in record.getMessage() and record.__dict__["task_id"] == ticket.task_id


@pytest.mark.parametrize("who", ["handler", "child"])
@pytest.mark.parametrize("mode", COROUTINES)
async def test_a_coroutine_that_blocks_the_loop_is_named_with_its_stack(
    app: TaskSystem, log: Log, caplog: pytest.LogCaptureFixture, mode: ExecutionMode, who: str
) -> None:
    async def child() -> None:
        compute(log)

    @app.task(mode=mode)
    async def busy() -> str:
        if who == "handler":
            await child()
        elif mode is ExecutionMode.ASYNCIO:
            await asyncio.create_task(child())
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
        return "done"

    async with app.running():
        ticket = await busy.submit()
        assert await ticket.result() == "done"
    record = told(caplog, BLOCKED)
    assert about(record, ticket)
    stack = record.getMessage().split("It is here:\n")[1].splitlines()
    assert stack[0].endswith(f"in {'busy' if who == 'handler' else 'child'}")
    assert any(line.endswith("in compute") for line in stack)


@pytest.mark.parametrize("mode", [*COROUTINES, ExecutionMode.THREAD, ExecutionMode.PROCESS])
async def test_the_lease_is_renewed_while_a_handler_of_any_mode_computes(file_url: str, mode: ExecutionMode) -> None:
    app, path = TaskSystem(file_url, settings=Settings(lease_seconds=1)), file_url.removeprefix("sqlite:///")

    async def computes() -> int:
        return plain.looks_after_the_lease(path)

    if mode in COROUTINES:
        work = app.register_handler("computes", computes, mode=mode).request()
    else:
        work = app.register_handler("computes", plain.looks_after_the_lease, mode=mode).request(path=path)
    async with app.running():
        assert await (await app.submit(work)).result() == plain.BEATS


async def test_what_blocks_the_loop_outside_of_handlers_is_shown_too(
    app: TaskSystem, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    async with app.running():
        await trio.sleep(0.5)  # until the first look: the writer's thread begins with its other timers
        compute(log)
    record = told(caplog, BLOCKED)
    assert "which is no handler" in record.getMessage()
    assert "in compute" in record.getMessage()


async def test_a_coroutine_that_swallows_the_cancel_is_named_with_its_stack(
    app: TaskSystem, caplog: pytest.LogCaptureFixture
) -> None:
    release = trio.Event()

    @app.task(timeout=0.05, max_retries=0)
    async def stubborn() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded)

    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with app.running():
        ticket = await stubborn.submit()
        assert (await ticket.wait()).status is TaskStatus.TIMEOUT
        release.set()
    record = told(caplog, STUCK)
    assert about(record, ticket)
    assert "in shielded\n    await release.wait()" in record.getMessage()


async def test_a_thread_that_does_not_look_is_named_with_its_stack(
    app: TaskSystem, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(timeout=0.05, max_retries=0)
    def deaf() -> None:
        release.wait(20)

    async with app.running():
        ticket = await deaf.submit()
        assert (await ticket.wait()).status is TaskStatus.TIMEOUT
    record = told(caplog, STUCK)
    assert about(record, ticket)
    stack = record.getMessage().split("It is here:\n")[1].splitlines()
    assert stack[0].endswith("in deaf")


SUSPENDED = """
import logging, sys, trio
from actors import TaskSystem

logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
app = TaskSystem(sys.argv[1])

async def main():
    async with app.running():
        print("running", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        await trio.sleep(1)
        print("done", flush=True)

trio.run(main)
"""


def test_a_process_that_was_stopped_and_goes_on_raises_no_alarm(file_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUSPENDED, file_url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=untraced(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "running\n"
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            time.sleep(1.5 * BLOCKED_SECONDS)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "done\n"

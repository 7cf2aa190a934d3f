"""Handlers in processes, through the public interface. Real processes and real time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from actors import ExecutionMode, RetryPolicy, Settings, TaskEventType, TaskStatus, TaskSystem, Ticket
from actors.errors import HandlerNotImportable, InvalidOption, TaskFailed
from tests.app.world import all_ended, collect, in_process, refused
from tests.environment import untraced
from tests.execution import process_handlers as handlers
from tests.execution.processes import begun, lives
from tests.waiting import Lateness, until

SOON = 20.0
"""Seconds within which everything here has happened, on a machine that is busy."""
PROCESS = ExecutionMode.PROCESS


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test leaves a process behind."""
    yield
    assert psutil.Process().children(recursive=True) == []


@pytest.fixture
def app(file_url: str) -> TaskSystem:
    """Two slots for processes."""
    return TaskSystem(file_url, settings=Settings(max_cpu_workers=2, grace_seconds=0.3))


@asynccontextmanager
async def running(app: TaskSystem) -> AsyncIterator[None]:
    """Run *app*; its slots are free again, and counted as before, when all has ended."""
    async with app.running():
        with trio.fail_after(SOON):
            yield
        lane = app.metrics().lanes["process"]
        if not lane.running:
            assert lane.free == 2
            # A machine that is late may see one end after it was left behind.
            await until(lambda: not app.metrics().lanes["process"].stuck)


def children() -> list[int]:
    """The pids of this process's children."""
    return [child.pid for child in psutil.Process().children()]


async def test_a_task_runs_in_a_process_and_its_row_says_so(app: TaskSystem) -> None:
    double, speak = in_process(app, handlers.double), in_process(app, handlers.speak)
    async with running(app):
        ticket = await double.submit(number=21)
        assert await ticket.result() == 42
        task = await ticket.task()
        assert (task.mode, task.lane, task.status) == (PROCESS, "process", TaskStatus.COMPLETED)
        ticket = await speak.submit()
        assert await ticket.result() == ticket.task_id
        progress = (await ticket.task()).progress
    assert progress is not None
    assert (progress.fraction, progress.message, progress.data) == (0.25, "quarter", {"pages": [1, 2]})


async def test_an_async_handler_cannot_run_in_a_process(app: TaskSystem) -> None:
    async def work() -> None: ...

    with refused(InvalidOption, "'work'", "async def", "'process'"):
        app.register_handler("work", work, mode=PROCESS)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (handlers.a_lambda, "this one is a lambda"),
        (handlers.nested(), "defined inside of a function"),
        (handlers.partial, "has none"),
        (handlers.Grouped().bound, "bound to an object"),
    ],
    ids=["lambda", "closure", "partial", "bound"],
)
def test_what_no_process_could_import_is_refused_at_its_declaration(
    app: TaskSystem, function: Callable[..., Any], words: str
) -> None:
    with refused(HandlerNotImportable, "'work'", words, "top level of a module"):
        app.register_handler("work", function, mode=PROCESS)
    app.register_handler("work", function)  # a thread needs no name
    with refused(HandlerNotImportable, words):
        app.configure("work", mode=PROCESS)


async def test_a_name_that_leads_elsewhere_is_refused_at_the_start_before_anything_is_opened(
    app: TaskSystem, tmp_path: Path
) -> None:
    app.register_handler("work", handlers.original, mode=PROCESS)
    with refused(HandlerNotImportable, "'work'", "'replaced'", "process_handlers"):
        async with app.running():
            pass
    assert os.listdir(tmp_path) == []
    async with app.running(work=False):
        assert (await app.submit_many([])) == []


async def test_a_node_that_only_submits_starts_no_processes(app: TaskSystem) -> None:
    double = in_process(app, handlers.double)
    async with app.running(work=False):
        await double.submit(number=1)
        assert children() == []


async def test_an_error_is_retried_by_the_policy_and_stored(app: TaskSystem) -> None:
    again = in_process(app, handlers.raise_own, max_retries=1, retry=RetryPolicy(base_delay=0, retry_on=OSError))
    never = app.register_handler(
        "never", handlers.raise_own, mode=PROCESS, max_retries=1, retry=RetryPolicy(never_on=handlers.OwnError)
    )
    async with running(app):
        for declared, retries in ((again, 1), (never, 0)):
            ticket = await declared.submit()
            with pytest.raises(TaskFailed, match=r"OwnError: broken \(7\)"):
                await ticket.result()
            assert (await ticket.task()).retry_count == retries


async def test_a_segfault_fails_its_task_alone_and_charges_no_crash(app: TaskSystem) -> None:
    double = in_process(app, handlers.double)
    segfault = in_process(app, handlers.segfault, max_retries=1, retry=RetryPolicy(base_delay=0))
    async with running(app):
        ticket = await segfault.submit()
        others = [await double.submit(number=number) for number in range(5)]
        task = await ticket.wait()
        assert [await other.result() for other in others] == [0, 2, 4, 6, 8]
        attempts = await app.attempts(ticket.task_id)
    assert (task.status, task.retry_count, task.crash_count) == (TaskStatus.FAILED, 1, 0)
    assert [attempt.outcome for attempt in attempts] == ["failed", "failed"]
    assert task.error_info is not None
    assert task.error_info.type == "ProcessDied"
    assert "signal 11 (SIGSEGV)" in task.error_info.message


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (handlers.eat, "MemoryError"),  # the kernel refuses
        (handlers.be_killed, "killed by signal 9 (SIGKILL), from outside or for want of memory"),  # it takes revenge
    ],
    ids=["refused", "killed"],
)
async def test_a_process_that_runs_out_of_memory_fails_its_attempt_alone(
    app: TaskSystem, function: Callable[..., Any], words: str
) -> None:
    hungry, double = in_process(app, function), in_process(app, handlers.double)
    async with running(app):
        ticket = await hungry.submit()
        others = [await double.submit(number=number) for number in range(5)]
        task = await ticket.wait()
        assert [await other.result() for other in others] == [0, 2, 4, 6, 8]
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.FAILED, 1, 0)
    assert words in str(task.error_info)


async def test_a_task_whose_process_is_killed_from_outside_is_tried_again(app: TaskSystem, tmp_path: Path) -> None:
    path = tmp_path / "begun"
    work = in_process(app, handlers.compute_with_a_family, max_retries=1, retry=RetryPolicy(base_delay=0))
    async with running(app):
        ticket = await work.submit(path=str(path))
        first = await begun(path)
        path.unlink()
        os.kill(first[0], signal.SIGKILL)
        second = await begun(path)
        assert await ticket.cancel()
        assert (await ticket.wait()).status is TaskStatus.CANCELLED
        assert (await app.attempts(ticket.task_id))[0].outcome == "failed"
        await until(lambda: not any(lives(pid) for pid in (*first, *second)))


async def test_a_soft_timeout_is_obeyed(app: TaskSystem, tmp_path: Path) -> None:
    work = in_process(app, handlers.until_stopped, soft_timeout=0.2, timeout=SOON)
    async with running(app), app.events() as events:
        ticket = await work.submit(path=str(tmp_path / "begun"))
        told = await collect(events, TaskEventType.TIMED_OUT)
        assert (await ticket.wait()).status is TaskStatus.TIMEOUT
    assert TaskEventType.SOFT_TIMEOUT in [event.type for event in told]


async def test_a_soft_timeout_that_is_ignored_is_followed_by_the_hard_one(app: TaskSystem, tmp_path: Path) -> None:
    work = in_process(app, handlers.swallow_the_stop, soft_timeout=0.3, timeout=1.0)
    async with running(app):
        ticket = await work.submit(path=str(tmp_path / "begun"))
        task = await ticket.wait()
        assert children() != []
    assert task.status is TaskStatus.TIMEOUT
    assert task.error_info is not None
    assert task.error_info.message == "stopped at its time limit of 1 s"
    assert task.started_at is not None
    assert task.completed_at is not None
    assert 1.0 <= (task.completed_at - task.started_at).total_seconds() < 1.5


async def test_a_pending_task_is_cancelled_and_never_runs(app: TaskSystem, tmp_path: Path) -> None:
    work = in_process(app, handlers.until_stopped)
    async with running(app):
        busy = [await work.submit(path=str(tmp_path / f"busy-{number}")) for number in range(2)]
        for number in range(2):
            await begun(tmp_path / f"busy-{number}")
        pending = await work.submit(path=str(tmp_path / "never"))
        for ticket in (pending, *busy):
            assert await ticket.cancel()
        await all_ended([pending, *busy])
        assert [await ticket.status() for ticket in (pending, *busy)] == [TaskStatus.CANCELLED] * 3
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("function", [handlers.until_stopped, handlers.compute], ids=["obeys", "deaf"])
async def test_a_running_task_is_cancelled_by_the_grace_time_at_the_latest(
    app: TaskSystem, function: Callable[..., Any], tmp_path: Path
) -> None:
    work, machine = in_process(app, function), Lateness()
    async with running(app), machine.measured():
        ticket = await work.submit(path=str(tmp_path / "begun"))
        await begun(tmp_path / "begun")
        cancelled_at = time.monotonic()
        assert await ticket.cancel()
        assert (await ticket.wait()).status is TaskStatus.CANCELLED
        assert time.monotonic() - cancelled_at < 0.3 + 0.5 + machine.worst


async def test_a_shutdown_lets_a_task_finish_in_its_grace_time(app: TaskSystem, tmp_path: Path) -> None:
    ticket = await interrupted(app, handlers.finish_when_stopped, tmp_path)
    async with app.running(work=False):
        assert await app.ticket(ticket.task_id).result() == "shutdown"


async def test_a_shutdown_gives_back_a_task_that_its_grace_time_was_too_short_for(
    app: TaskSystem, tmp_path: Path
) -> None:
    left_at = time.monotonic()
    ticket = await interrupted(app, handlers.compute, tmp_path)
    assert time.monotonic() - left_at < SOON
    async with app.running(work=False):
        task = await app.ticket(ticket.task_id).task()
    assert (task.status, task.attempt, task.retry_count) == (TaskStatus.PENDING, 1, 0)


async def interrupted(app: TaskSystem, function: Callable[..., Any], tmp_path: Path) -> Ticket[Any]:
    """Run a task, and leave when it has begun; its ticket."""
    work = in_process(app, function)
    async with app.running():
        ticket: Ticket[Any] = await work.submit(path=str(tmp_path / "begun"))
        await begun(tmp_path / "begun")
    return ticket


async def test_children_of_a_task_are_stored_with_its_outcome(app: TaskSystem) -> None:
    parent = in_process(app, handlers.submit_what_is_refused)

    @app.task
    async def child() -> str:
        return "born"

    async with running(app):
        assert await (await parent.submit(kind="chidl")).result() == (
            "UnknownTaskType: no task named 'chidl' is declared; did you mean 'child'?"
        )
        async with app.events("child", TaskEventType.COMPLETED) as events:
            assert await (await parent.submit(kind="child")).result() == "taken"
            assert (await events.receive()).data["result_data"] == "born"


async def test_hooks_are_called_in_the_node_around_an_attempt_in_a_process(app: TaskSystem) -> None:
    double, told = in_process(app, handlers.double), []
    app.before_attempt(lambda ctx: told.append(("before", ctx.task_type, os.getpid())))
    app.after_attempt(lambda ctx, end: told.append((end.outcome, ctx.task_type, os.getpid())))
    async with running(app):
        await (await double.submit(number=1)).result()
    assert told == [("before", "double", os.getpid()), ("completed", "double", os.getpid())]


SCRIPT = """
import trio
from actors import ExecutionMode, RetryPolicy, TaskSystem
{imports}

app = TaskSystem("sqlite:///:memory:")

class Own(Exception):
    pass

@app.task(mode=ExecutionMode.PROCESS, max_retries=1, retry=RetryPolicy(base_delay=0, retry_on=Own))
def work() -> str:
    raise Own(__name__)

async def main() -> None:
    async with app.running():
        with trio.fail_after(20):
            ticket = await work.submit()
            task = await ticket.wait()
        print(task.error_info, task.retry_count)

{guard}
"""


def run_script(folder: Path, *command: str, imports: str = "", guard: str = "trio.run(main)") -> Any:
    """What becomes of the script, saved as `package/script.py`, when a Python runs *command*."""
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "beside.py").write_text("")
    (package / "script.py").write_text(SCRIPT.format(imports=imports, guard=guard))
    (folder / "lone.py").write_text(SCRIPT.format(imports=imports, guard=guard))
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder, env=untraced(PYTHONPATH=path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


GUARDED = 'if __name__ == "__main__":\n    trio.run(main)'


def test_a_script_with_a_guard_runs_its_own_handlers(tmp_path: Path) -> None:
    finished = run_script(tmp_path, "lone.py", guard=GUARDED)
    assert (finished.stdout, finished.stderr) == ("Own: __mp_main__ 1\n", "")


def test_a_module_that_is_run_as_a_script_keeps_its_package(tmp_path: Path) -> None:
    finished = run_script(tmp_path, "-m", "package.script", imports="from . import beside", guard=GUARDED)
    assert (finished.stdout, finished.stderr) == ("Own: __mp_main__ 1\n", "")


@pytest.mark.parametrize(
    "guard", ["trio.run(main)", "try:\n    trio.run(main)\nexcept BaseException as error:\n    print(repr(error))"]
)
def test_a_script_without_a_guard_is_told_to_have_one(tmp_path: Path, guard: str) -> None:
    finished = run_script(tmp_path, "lone.py", guard=guard)
    words = "a new process cannot import '__main__': HandlerNotImportable: it runs a task system when it is imported"
    assert words in finished.stdout + finished.stderr
    assert "if __name__ == '__main__':" in finished.stdout + finished.stderr


def test_a_prompt_has_no_file_to_import(tmp_path: Path) -> None:
    finished = run_script(tmp_path, "-c", "exec(open('lone.py').read())")
    assert "HandlerNotImportable: task 'work': mode 'process'" in finished.stderr
    assert "has no file here" in finished.stderr

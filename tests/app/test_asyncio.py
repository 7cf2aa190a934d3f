"""Handlers that are asyncio coroutines."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import actors
from actors import ExecutionMode, StopReason, TaskContext, TaskEventType, TaskRequest, TaskStatus, TaskSystem
from actors.errors import InvalidOption, TaskTimedOut
from tests.app.world import collect, refused
from tests.environment import untraced

pytestmark = pytest.mark.skipif(find_spec("trio_asyncio") is None, reason="trio-asyncio is not to be had here")
ASYNCIO = ExecutionMode.ASYNCIO
variable: ContextVar[str] = ContextVar("variable", default="clean")


async def ended(ticket: actors.Ticket[Any]) -> tuple[TaskStatus, str]:
    """How a task ended, and with what words."""
    task = await ticket.wait()
    return task.status, task.error_info.message if task.error_info else ""


async def test_an_asyncio_handler_runs_and_finds_its_context(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(mode=ASYNCIO)
    async def greet(ctx: TaskContext, name: str) -> str:
        await asyncio.sleep(60)
        actors.progress(0.5, "half")
        assert actors.current() is ctx
        return f"hello {name}"

    async with app.running():
        ticket = await greet.submit("asyncio")
        assert await ticket.result() == "hello asyncio"
        task = await ticket.task()
        assert (task.mode, task.lane) == (ASYNCIO, "asyncio")
        assert task.progress is not None
        assert task.progress.message == "half"
        assert app.metrics().lanes["asyncio"].free == app.settings.max_coroutines


async def test_its_own_asyncio_tasks_know_the_attempt_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(mode=ASYNCIO)
    async def family() -> list[str]:
        async def child() -> str:
            await asyncio.sleep(1)
            return actors.current().task_id

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child()) for _ in range(3)]
        return [task.result() for task in tasks]

    async with app.running():
        ticket = await family.submit()
        assert await ticket.result() == [ticket.task_id] * 3


async def test_context_variables_of_one_task_are_not_seen_by_another(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(mode=ASYNCIO)
    async def leave_behind(value: str) -> str:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(1)
        return before

    async with app.running():
        tickets = await app.submit_many([leave_behind.request(str(number)) for number in range(10)])
        assert [await ticket.result() for ticket in tickets] == ["clean"] * 10


async def test_children_and_log_records_belong_to_the_task(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task
    async def child(number: int) -> int:
        return number

    @app.task(mode=ASYNCIO)
    async def parent(ctx: TaskContext) -> str:
        actors.log.warning("said inside")
        await asyncio.sleep(1)
        return ctx.submit(TaskRequest("child", {"number": 7}))

    async with app.running():
        ticket = await parent.submit()
        assert await app.ticket(await ticket.result()).result() == 7
    (record,) = [record for record in caplog.records if record.getMessage() == "said inside"]
    assert record.__dict__["task_id"] == ticket.task_id


async def test_threads_and_trio_are_within_reach_of_an_asyncio_handler(app: TaskSystem) -> None:
    @app.task(mode=ASYNCIO)
    async def mixed() -> list[str]:
        from trio_asyncio import trio_as_aio  # loaded by now, and without its warning: see execution/aio.py

        inside = await asyncio.to_thread(lambda: actors.current().task_type)
        await trio_as_aio(trio.sleep)(0)
        return [inside]

    async with app.running():
        with trio.fail_after(10):
            assert await (await mixed.submit()).result() == ["mixed"]


async def test_all_handlers_of_a_system_share_one_loop_which_ends_with_it(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    loops = []

    @app.task(mode=ASYNCIO)
    async def look() -> None:
        loops.append(asyncio.get_running_loop())

    async with app.running():
        await (await look.submit()).result()
        await (await look.submit()).result()
        assert not loops[0].is_closed()
    assert loops[0] is loops[1]
    assert loops[0].is_closed()


async def test_tasks_that_wait_run_in_the_mode_that_their_handler_has_by_then(file_url: str) -> None:
    async def handler() -> str:
        return "ran"

    before, after = TaskSystem(file_url), TaskSystem(file_url)
    before.register_handler("work", handler, mode=ASYNCIO)
    after.register_handler("work", handler)
    async with before.running(work=False):
        ticket = await before.submit(TaskRequest("work"))
    async with after.running():
        with trio.fail_after(10):
            assert await after.ticket(ticket.task_id).result() == "ran"


async def test_until_stopping_ends_at_the_soft_stage_and_what_follows_cleans_up(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    moments: list[float] = []

    @app.task(mode=ASYNCIO, soft_timeout=10, timeout=60)
    async def tidy(ctx: TaskContext) -> list[object]:
        begin = trio.current_time()
        async with ctx.until_stopping() as scope:
            await asyncio.sleep(3600)
        moments.append(trio.current_time() - begin)
        await asyncio.sleep(20)
        moments.append(trio.current_time() - begin)
        return [scope.cancelled_caught, str(ctx.stopping)]

    async with app.running():
        assert await (await tidy.submit()).result() == [True, str(StopReason.SOFT_TIMEOUT)]
    assert moments == pytest.approx([10, 30], abs=0.1)


async def test_a_block_that_is_entered_after_the_soft_stage_ends_at_once_and_harms_nothing_after_it(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(mode=ASYNCIO, soft_timeout=10, timeout=60)
    async def late(ctx: TaskContext) -> list[object]:
        await asyncio.sleep(20)
        begin = trio.current_time()
        async with ctx.until_stopping() as waiting:
            await asyncio.sleep(3600)
        async with ctx.until_stopping() as idle:
            pass
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        return [waiting.cancelled_caught, idle.cancelled_caught, trio.current_time() - begin, task.cancelling()]

    async with app.running():
        assert await (await late.submit()).result() == [True, False, 1, 0]


async def test_the_hard_stage_passes_through_until_stopping(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(mode=ASYNCIO, soft_timeout=10, timeout=30, max_retries=0)
    async def slow(ctx: TaskContext) -> None:
        async with ctx.until_stopping():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(3600)
        raise AssertionError("the block was cancelled twice, once for it and once for all")

    async with app.running():
        ticket = await slow.submit()
        before = trio.current_time()
        with refused(TaskTimedOut, ticket.task_id, "30 s"):
            await ticket.result()
        assert trio.current_time() - before == pytest.approx(30, abs=0.5)
        await trio.sleep(1)
        assert app.metrics().lanes["asyncio"].stuck == 0


@pytest.mark.parametrize("mode", [ASYNCIO, ExecutionMode.COROUTINE])
async def test_the_block_of_the_other_kind_of_coroutine_is_refused(
    app: TaskSystem, autojump_clock: MockClock, mode: ExecutionMode
) -> None:
    @app.task(mode=mode, max_retries=0)
    async def mistaken(ctx: TaskContext) -> None:
        if mode is ASYNCIO:
            with ctx.until_stopping():
                pass
        async with ctx.until_stopping():
            pass

    right = "async with" if mode is ASYNCIO else "`with"
    async with app.running():
        status, words = await ended(await mistaken.submit())
    assert status is TaskStatus.FAILED
    assert f"{right} ctx.until_stopping()" in words


async def test_a_handler_that_swallows_the_cancel_is_cancelled_every_second_until_it_ends(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    cancels: list[float] = []
    over = trio.Event()

    @app.task(mode=ASYNCIO, timeout=30, max_retries=0, lane="single")
    async def stubborn() -> str:
        begin = trio.current_time()
        while len(cancels) < 4:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancels.append(trio.current_time() - begin)
        over.set()
        return "too late"

    @app.task(mode=ASYNCIO, lane="single")
    async def next_one() -> str:
        return "ran"

    async with app.running(), app.events(types=TaskEventType.STUCK) as stuck:
        ticket = await stubborn.submit()
        waiting = await next_one.submit()
        task = await ticket.wait()
        assert task.status is TaskStatus.TIMEOUT
        assert await waiting.result() == "ran"
        (event,) = await collect(stuck, TaskEventType.STUCK)
        assert event.task_id == ticket.task_id
        assert app.metrics().lanes["single"].stuck == 1
        await over.wait()
        await trio.sleep(0.1)
        lane = app.metrics().lanes["single"]
        assert (lane.stuck, lane.running, lane.free) == (0, 0, 1)
        assert await ticket.wait() == task, "the late result changes nothing"
    assert cancels == pytest.approx([30, 31, 32, 33], abs=0.1)
    (warning,) = [record for record in caplog.records if "runs on though it was stopped" in record.getMessage()]
    assert "in stubborn\n    await asyncio.sleep(3600)" in warning.getMessage()


async def test_leaving_is_bounded_and_a_coroutine_that_never_ends_is_named(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun = trio.Event()
    released = False

    @app.task(mode=ASYNCIO)
    async def endless() -> None:
        begun.set()
        while not released:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                actors.log.info("not yet")

    async with app.running():
        await endless.submit()
        await begun.wait()
        left_at = trio.current_time()
    assert trio.current_time() - left_at <= app.settings.grace_seconds + 5
    assert "left behind: endless" in caplog.text
    released = True  # or the event loop of this test would wait for it


async def test_what_a_handler_left_on_the_loop_is_cancelled_with_the_loop(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    ends: list[str] = []
    tasks = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    @app.task(mode=ASYNCIO)
    async def begin() -> None:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(1)

    async with app.running():
        await (await begin.submit()).result()
        await trio.sleep(60)
        assert ends == []
    assert ends == ["cancelled"]


async def test_an_error_that_nobody_waits_for_is_logged_and_harms_nobody(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(mode=ASYNCIO)
    async def careless() -> str:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        stray = asyncio.get_running_loop().create_future()
        stray.set_exception(ValueError("stray"))
        del stray
        await asyncio.sleep(1)
        return "done"

    async with app.running():
        assert await (await careless.submit()).result() == "done"
        assert await (await careless.submit()).result() == "done"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {type(record.exc_info[1]) for record in errors if record.exc_info} == {ValueError, ZeroDivisionError}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "the handler called sys.exit(3)"),
        (KeyboardInterrupt(), "the handler raised KeyboardInterrupt, which is no Exception"),
        (asyncio.CancelledError(), "the handler raised asyncio.CancelledError, and nobody had asked it to stop"),
    ],
    ids=["exit", "interrupt", "cancelled"],
)
@pytest.mark.parametrize("where", ["handler", "child"])
async def test_what_would_end_the_loop_fails_its_own_attempt_alone(
    app: TaskSystem, autojump_clock: MockClock, error: BaseException, words: str, where: str
) -> None:
    @app.task(mode=ASYNCIO)
    async def neighbour() -> str:
        await asyncio.sleep(10)
        return "unharmed"

    @app.task(mode=ASYNCIO, max_retries=0)
    async def culprit() -> None:
        async def fail() -> None:
            raise error

        await asyncio.sleep(1)
        await (fail() if where == "handler" else asyncio.create_task(fail()))

    async with app.running():
        other = await neighbour.submit()
        assert await ended(await culprit.submit()) == (TaskStatus.FAILED, words)
        assert await other.result() == "unharmed"


async def test_a_callback_that_ends_the_loop_fails_what_ran_on_it_and_the_next_tasks_find_a_new_one(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(mode=ASYNCIO, max_retries=0)
    async def breaks_it() -> None:
        asyncio.get_running_loop().call_soon(sys.exit)
        await asyncio.sleep(3600)

    @app.task(mode=ASYNCIO)
    async def fine() -> str:
        await asyncio.sleep(1)
        return "fine"

    async with app.running():
        assert await ended(await breaks_it.submit()) == (
            TaskStatus.FAILED, "the asyncio loop was ended under the handler",
        )  # fmt: skip
        assert await (await fine.submit()).result() == "fine"
    assert "another one is opened" in caplog.text


async def test_giving_up_by_its_own_cancel_after_the_soft_stage_is_giving_up(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(mode=ASYNCIO, soft_timeout=10, timeout=60, max_retries=0)
    async def gives_up(ctx: TaskContext) -> None:
        await asyncio.sleep(20)
        assert ctx.stopping is not None
        raise asyncio.CancelledError

    async with app.running():
        status, words = await ended(await gives_up.submit())
    assert (status, words) == (TaskStatus.TIMEOUT, "stopped at its soft limit of 10 s")


def test_an_asyncio_handler_is_declared_with_async_def(app: TaskSystem) -> None:
    def plain() -> None:
        raise AssertionError

    with refused(InvalidOption, "'plain'", "declared with def", "'asyncio'"):
        app.task(mode=ASYNCIO)(plain)


INTERRUPTED = """
import asyncio, os, signal, trio
from actors import ExecutionMode, TaskSystem

app = TaskSystem("sqlite:///:memory:")

def interrupt():
    signal.raise_signal(signal.SIGINT)

@app.task(mode=ExecutionMode.ASYNCIO)
async def work(where: str) -> None:
    loop = asyncio.get_running_loop()
    if where == "coroutine":
        interrupt()
    elif where == "callback":
        loop.call_soon(interrupt)
    else:
        read, write = os.pipe()
        loop.add_reader(read, lambda: (loop.remove_reader(read), interrupt()))
        os.write(write, b"x")
    await asyncio.sleep(0.01)
    print("went on", flush=True)
    await asyncio.sleep(3600)

async def main():
    async with app.running():
        try:
            await work.submit({where!r})
            await trio.sleep_forever()
        finally:
            app.running_node.grace = 0.2

try:
    trio.run(main)
except KeyboardInterrupt:
    print("the body was interrupted")
"""


@pytest.mark.parametrize("where", ["coroutine", "callback", "reader"])
def test_an_interrupt_that_comes_while_asyncio_works_strikes_the_body_of_the_service(where: str) -> None:
    program = INTERRUPTED.format(where=where)
    said = subprocess.run(
        [sys.executable, "-c", program], env=untraced(), capture_output=True, text=True, check=True, timeout=30
    )
    assert said.stdout.split("\n") == ["went on", "the body was interrupted", ""]
    assert said.stderr == ""


PROGRAM = """
import sys, trio
from actors import ExecutionMode, TaskSystem

app = TaskSystem("sqlite:///:memory:")

@app.task({options})
async def work() -> None: ...

async def main():
    async with app.running(work={work}):
        print("trio_asyncio" in sys.modules)

trio.run(main)
"""


@pytest.mark.parametrize(
    ("options", "work", "imported"),
    [("", True, False), ("mode=ExecutionMode.ASYNCIO", True, True), ("mode=ExecutionMode.ASYNCIO", False, False)],
    ids=["not needed", "needed", "submitting alone"],
)
def test_trio_asyncio_is_imported_only_where_a_handler_needs_it(options: str, work: bool, imported: bool) -> None:
    program = PROGRAM.format(options=options, work=work)
    said = subprocess.run([sys.executable, "-c", program], env=untraced(), capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(imported)

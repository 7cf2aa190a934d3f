"""Handlers that are plain functions. Real time: short limits, and waits for events."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest
import trio

import actors
from actors import Settings, StopReason, StopRequested, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import TaskTimedOut
from tests.app.world import all_ended, collect
from tests.waiting import until

SOON = 10.0
"""Seconds within which everything here has happened, on a machine that is busy."""


async def test_a_plain_function_runs_in_a_thread_and_finds_its_context(app: TaskSystem) -> None:
    @app.task
    def where(ctx: TaskContext, name: str) -> list[str]:
        actors.current().progress(0.5, "half")
        assert actors.current() is ctx
        return [name, str(threading.get_ident()), ctx.task_id]

    async with app.running():
        ticket = await where.submit("x")
        with trio.fail_after(SOON):
            name, ident, task_id = await ticket.result()
        task = await app.get(ticket.task_id)
    assert (name, task_id) == ("x", ticket.task_id)
    assert ident != str(threading.get_ident())
    assert task is not None
    assert task.progress is not None
    assert (task.progress.fraction, task.progress.message) == (0.5, "half")


async def test_an_error_in_a_thread_fails_its_task(app: TaskSystem) -> None:
    @app.task(max_retries=0)
    def fail() -> None:
        raise ValueError("in a thread")

    async with app.running():
        with trio.fail_after(SOON):
            ended = await (await fail.submit()).wait()
    assert ended.error_info is not None
    assert (ended.error_info.type, ended.error_info.message) == ("ValueError", "in a thread")
    assert "in fail" in ended.error_info.traceback


@pytest.mark.parametrize("how", ["cancel", "soft timeout"])
async def test_check_ends_a_thread_that_should_stop(app: TaskSystem, how: str) -> None:
    reasons: list[StopReason] = []

    @app.task(timeout=SOON, soft_timeout=0.05 if how == "soft timeout" else None, max_retries=0)
    def careful(ctx: TaskContext) -> None:
        started.set()
        try:
            while True:
                ctx.check()
        except StopRequested as error:
            reasons.append(error.reason)
            raise

    started = threading.Event()
    async with app.running(), app.events() as events:
        ticket = await careful.submit()
        with trio.fail_after(SOON):
            await collect(events, TaskEventType.STARTED)
            await trio.to_thread.run_sync(started.wait)
            if how == "cancel":
                assert await ticket.cancel()
            ended = await ticket.wait()
    expected = {
        "cancel": (TaskStatus.CANCELLED, StopReason.CANCEL),
        "soft timeout": (TaskStatus.TIMEOUT, StopReason.SOFT_TIMEOUT),
    }
    assert (ended.status, *reasons) == expected[how]


async def test_a_thread_that_ignores_its_limit_is_recorded_and_its_slot_gets_a_fresh_thread(
    app: TaskSystem, release: threading.Event
) -> None:
    @app.task(timeout=0.1, max_retries=0, lane="single")
    def stubborn() -> str:
        release.wait()
        return "too late"

    @app.task(lane="single")
    def quick() -> str:
        return "ran"

    async with app.running(), app.events() as events:
        ticket = await stubborn.submit()
        with trio.fail_after(SOON):
            with pytest.raises(TaskTimedOut, match=r"0\.1 s"):
                await ticket.result()
            assert await (await quick.submit()).result() == "ran"
            told = await collect(events, TaskEventType.COMPLETED)
            assert TaskEventType.STUCK in [event.type for event in told]
            assert app.metrics().lanes["single"].stuck == 1
            release.set()
            await until(lambda: not app.metrics().lanes["single"].stuck)
            lane = app.metrics().lanes["single"]
            assert (lane.running, lane.free) == (0, 1)
            assert (await ticket.wait()).status is TaskStatus.TIMEOUT


async def test_a_lane_grows_by_as_many_threads_as_it_has_slots_and_no_more(
    app: TaskSystem, release: threading.Event
) -> None:
    running = []

    @app.task(timeout=0.05, max_retries=0, lane="single")
    def stubborn(number: int) -> None:
        running.append(number)
        release.wait()

    async with app.running():
        tickets = [await stubborn.submit(number) for number in range(3)]
        with trio.fail_after(SOON):
            await all_ended(tickets[:2])
            assert app.metrics().lanes["single"].stuck == 2
            assert await tickets[2].status() is TaskStatus.PENDING
            assert running == [0, 1]
            release.set()
            await tickets[2].wait()
    assert running == [0, 1, 2]


async def test_threads_see_none_of_each_others_context_variables(app: TaskSystem) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="clean")

    @app.task
    def leave_behind(value: str) -> str:
        before = variable.get()
        variable.set(value)
        return before

    async with app.running():
        with trio.fail_after(SOON):
            tickets = await app.submit_many([leave_behind.request(str(number)) for number in range(10)])
            assert [await ticket.result() for ticket in tickets] == ["clean"] * 10


async def test_the_lane_bounds_the_threads(file_url: str) -> None:
    app = TaskSystem(file_url, settings=Settings(max_io_workers=3))
    barrier = threading.Barrier(3)
    lock = threading.Lock()
    running = peak = 0

    @app.task
    def meet() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        barrier.wait(SOON)
        with lock:
            running -= 1

    async with app.running():
        with trio.fail_after(SOON):
            tickets = await app.submit_many([meet.request() for _ in range(9)])
            assert [(await ticket.wait()).status for ticket in tickets] == [TaskStatus.COMPLETED] * 9
    assert peak == 3

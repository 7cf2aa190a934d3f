"""Threads that are left behind, and their late end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors import TaskContext
from actors.core.outcome import Cancelled, Finished, TimedOut
from actors.core.stop import StopReason
from actors.execution.thread import ThreadCall
from tests.execution.world import Runs


class Deaf:
    """A handler in a thread that looks at nothing until it is let go."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.go = threading.Event()

    def work(self) -> str:
        trio.from_thread.run_sync(self.begun.set)
        self.go.wait(10)
        return "too late"


async def test_a_deaf_thread_is_left_behind_and_its_late_end_is_told() -> None:
    deaf, runs = Deaf(), Runs()
    attempt = runs.attempt(deaf.work, timeout_seconds=1.0)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def force() -> None:
            await deaf.begun.wait()
            attempt.force(StopReason.SOFT_TIMEOUT)

        assert isinstance(await attempt.run(), TimedOut)
    assert attempt.still_runs
    deaf.go.set()
    await runs.late_end.wait()
    assert runs.late == [attempt]
    assert not attempt.still_runs


async def test_a_thread_that_checks_is_not_left_behind() -> None:
    def work(ctx: TaskContext) -> None:
        trio.from_thread.run_sync(begun.set)
        stop.wait(10)
        ctx.check()

    begun, stop, runs = trio.Event(), threading.Event(), Runs()
    attempt = runs.attempt(work)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def cancel() -> None:
            await begun.wait()
            attempt.stop(StopReason.CANCEL)
            stop.set()

        assert await attempt.run() == Cancelled()
    assert not attempt.still_runs
    assert runs.late == []


async def test_an_attempt_that_is_forced_before_its_thread_begins_leaves_nothing_behind() -> None:
    started: list[str] = []
    attempt = Runs().attempt(lambda: started.append("started"))
    attempt.force(StopReason.CANCEL)
    assert await attempt.run() == Cancelled()
    assert not attempt.still_runs
    assert started == []


async def test_a_thread_that_comes_too_late_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Callable[[], Any]] = []

    async def cancelled_on_the_way(function: Callable[[], Any], **_: Any) -> Any:
        late.append(function)
        raise RuntimeError

    monkeypatch.setattr(trio.to_thread, "run_sync", cancelled_on_the_way)
    started: list[str] = []
    call = ThreadCall(lambda: started.append("started"), lambda: started.append("ended"))
    with pytest.raises(RuntimeError):
        await call.run(trio.CapacityLimiter(1))
    assert late[0]() is None
    assert started == []
    assert not call.goes_on


def test_a_thread_that_outlives_the_event_loop_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    async def in_a_thread_of_our_own(function: Callable[[], Any], **_: Any) -> Any:
        threads.append(threading.Thread(target=function))
        threads[0].start()
        await trio.sleep_forever()

    async def leave_one_behind() -> ThreadCall:
        token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as scope:

            def outlive() -> None:
                token.run_sync_soon(scope.cancel)
                go.wait(10)

            call = ThreadCall(outlive, lambda: late.append("told"))
            await call.run(trio.CapacityLimiter(1))
        return call

    monkeypatch.setattr(trio.to_thread, "run_sync", in_a_thread_of_our_own)
    go, late = threading.Event(), list[str]()
    call = trio.run(leave_one_behind)
    went_on = call.goes_on
    go.set()
    threads[0].join()
    assert (went_on, call.goes_on, late) == (True, False, [])


async def test_threads_share_the_lanes_limit() -> None:
    runs = Runs(threads=1)
    deaf = Deaf()
    first, second = runs.attempt(deaf.work), runs.attempt(lambda: "second")
    outcomes: list[object] = []

    async def run_second() -> None:
        await deaf.begun.wait()
        deaf.go.set()
        outcomes.append(await second.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_second)
        outcomes.append(await first.run())
    assert outcomes == [Finished('"too late"'), Finished('"second"')]

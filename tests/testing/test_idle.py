"""Until nothing can run any more: in virtual time, and with a word for what never ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import RetryPolicy, Snooze, TaskContext, TaskStatus, TaskSystem
from actors.errors import InvalidOption, NotRunning
from actors.testing import NotIdle, run, run_until_idle

HOUR = 3600.0
DAY = 24 * HOUR

Clocks = pytest.mark.parametrize("threshold", [0.0, float("inf")], ids=["autojump", "still"])


@contextmanager
def real_seconds(most: float) -> Any:
    """The block takes at most so long, on a wall clock."""
    began = time.perf_counter()
    yield
    assert time.perf_counter() - began < most


def under(clock: MockClock, app: TaskSystem, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run *scenario* while *app* runs, under a clock of the caller's own."""

    async def main() -> None:
        async with app.running():
            await scenario()

    trio.run(main, clock=clock)


@Clocks
def test_retries_and_tasks_of_the_future_are_waited_for(app: TaskSystem, threshold: float) -> None:
    @app.task(retry=RetryPolicy(max_retries=3, base_delay=HOUR, max_delay=DAY, jitter=False))
    async def flaky(ctx: TaskContext) -> int:
        if ctx.attempt < 4:
            raise ConnectionError
        return ctx.attempt

    async def scenario() -> None:
        tickets = [await flaky.submit(), await flaky.options(delay=3 * DAY).submit()]
        began = trio.current_time()
        await run_until_idle(app)
        assert [(await ticket.task()).result_data for ticket in tickets] == [4, 4]
        assert trio.current_time() - began == pytest.approx(3 * DAY + 7 * HOUR, abs=1)

    with real_seconds(60):
        under(MockClock(autojump_threshold=threshold), app, scenario)


async def test_what_tasks_submit_is_waited_for_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def countdown(left: int) -> None:
        if left:
            await countdown.options(delay=60).submit(left=left - 1)

    async with app.running():
        await countdown.submit(left=20)
        await run_until_idle(app)
        assert await app.count(status=TaskStatus.COMPLETED) == 21


async def test_an_idle_system_is_idle_at_once(app: TaskSystem, mock_clock: MockClock) -> None:
    async with app.running():
        before = trio.current_time()
        await run_until_idle(app)
        assert trio.current_time() == before


async def test_within_leaves_what_comes_due_later(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def work() -> None:
        await trio.sleep(5)

    async with app.running():
        soon = await work.options(delay=60).submit()
        late = await work.options(delay=66).submit()
        before = trio.current_time()
        await run_until_idle(app, within=65)
        assert trio.current_time() - before == pytest.approx(65, abs=0.1)
        assert (await soon.status(), await late.status()) == (TaskStatus.COMPLETED, TaskStatus.PENDING)
        await run_until_idle(app, within=0)
        assert await late.status() is TaskStatus.PENDING


async def test_what_runs_beyond_within_is_named(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def slow() -> None:
        await trio.sleep(100)

    async with app.running():
        ticket = await slow.submit()
        with pytest.raises(NotIdle, match=f"running: 'slow' {ticket.task_id}, attempt 1, time limit 300 s"):
            await run_until_idle(app, within=60)
        await run_until_idle(app)
        assert await ticket.status() is TaskStatus.COMPLETED


@Clocks
def test_a_task_that_never_ends_is_named_at_once(app: TaskSystem, threshold: float) -> None:
    @app.task(timeout=None)
    async def sleeper() -> None:
        await trio.sleep_forever()

    @app.task
    async def fine() -> None:
        await trio.sleep(3)

    async def scenario() -> None:
        await fine.submit()
        ticket = await sleeper.submit()
        with pytest.raises(NotIdle, match="never idle") as caught, real_seconds(2):
            await run_until_idle(app)
        assert f"running: 'sleeper' {ticket.task_id}, attempt 1, no time limit" in str(caught.value)
        assert "fine" not in str(caught.value)
        assert await ticket.cancel()
        await run_until_idle(app)

    under(MockClock(autojump_threshold=threshold), app, scenario)


async def test_a_task_that_needs_longer_gets_more_patience(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=None)
    async def slow() -> None:
        await trio.sleep(3 * DAY)

    async with app.running():
        ticket = await slow.submit()
        await run_until_idle(app, patience=4 * DAY)
        assert await ticket.status() is TaskStatus.COMPLETED


async def test_a_sleeper_with_a_time_limit_is_waited_for_however_long_that_is(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(timeout=10 * DAY, max_retries=0)
    async def sleeper() -> None:
        await trio.sleep_forever()

    async with app.running():
        ticket = await sleeper.submit()
        await run_until_idle(app, real_seconds=60)
        assert await ticket.status() is TaskStatus.TIMEOUT


async def test_tasks_that_bring_about_each_other_for_ever_are_given_up_after_real_time(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    going_on = True

    @app.task
    async def breeding() -> None:
        if going_on:
            await breeding.submit()

    @app.task
    async def snoozing() -> None:
        if going_on:
            raise Snooze(HOUR)

    async with app.running():
        for endless in (breeding, snoozing):
            going_on = True
            await endless.submit()
            with pytest.raises(NotIdle, match=f"not idle after 0.3 s of real time\n(.*\n)*.*'{endless.task_type}'"):
                await run_until_idle(app, real_seconds=0.3)
            going_on = False
            await run_until_idle(app)


async def test_what_waits_for_help_does_not_count(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def held() -> None:
        pass

    @app.task(lane="coroutine")
    async def free() -> None:
        pass

    async with app.running():
        await app.pause(task_type="held")
        waiting, done = await held.submit(), await free.submit()
        await run_until_idle(app)
        assert (await waiting.status(), await done.status()) == (TaskStatus.PENDING, TaskStatus.COMPLETED)
        await app.pause(lane="coroutine")
        await app.resume(task_type="held")
        await run_until_idle(app)
        assert await waiting.status() is TaskStatus.PENDING
        await app.resume(lane="coroutine")
        await run_until_idle(app)
        assert await waiting.status() is TaskStatus.COMPLETED


@Clocks
def test_time_stands_still_while_threads_work(app: TaskSystem, threshold: float) -> None:
    @app.task(timeout=1.0, max_retries=0)
    def work(seconds: float) -> None:
        time.sleep(seconds)

    @app.task(timeout=1.0, max_retries=0)
    async def calls_a_thread() -> None:
        await trio.to_thread.run_sync(time.sleep, 0.02)

    async def scenario() -> None:
        tickets = [await work.submit(seconds=0.02) for _ in range(5)] + [await calls_a_thread.submit()]
        before = trio.current_time()
        await run_until_idle(app)
        assert [await ticket.status() for ticket in tickets] == [TaskStatus.COMPLETED] * 6
        assert trio.current_time() - before < 1.0
        await trio.testing.wait_all_tasks_blocked()

    under(MockClock(autojump_threshold=threshold), app, scenario)


async def test_a_thread_that_never_ends_is_named(app: TaskSystem, autojump_clock: MockClock) -> None:
    ended = threading.Event()

    @app.task
    def stubborn() -> None:
        ended.wait()

    async with app.running():
        await stubborn.submit()
        with pytest.raises(NotIdle, match=r"not idle after 0.2 s of real time, with 1 threads at work\n  .*'stubborn'"):
            await run_until_idle(app, real_seconds=0.2)
        ended.set()
        await run_until_idle(app)
        assert await app.count(status=TaskStatus.COMPLETED) == 1


async def test_many_tasks_take_no_longer_than_they_must(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def work(number: int) -> None:
        await trio.sleep(number % 10)

    async with app.running():
        await app.submit_many([work.request(number=number) for number in range(2000)])
        await run_until_idle(app, real_seconds=60)
        assert await app.count(status=TaskStatus.COMPLETED) == 2000


async def test_it_cannot_move_the_real_clock(app: TaskSystem) -> None:
    async with app.running():
        with pytest.raises(InvalidOption, match="autojump_clock"):
            await run_until_idle(app)


async def test_it_needs_a_database_in_memory(
    app: TaskSystem, tmp_path_factory: pytest.TempPathFactory, mock_clock: MockClock
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('idle') / 'tasks.db'}"
    async with app.running(database_url=url):
        with pytest.raises(InvalidOption, match="sqlite:///:memory:"):
            await run_until_idle(app)


async def test_it_needs_a_system_that_works(app: TaskSystem, mock_clock: MockClock) -> None:
    async with app.running(work=False):
        with pytest.raises(InvalidOption, match="work=False"):
            await run_until_idle(app)
    with pytest.raises(NotRunning):
        await run_until_idle(app)


def test_a_scenario_runs_without_pytest_trio_and_gives_its_result(app: TaskSystem) -> None:
    @app.task
    async def add(a: int, b: int) -> int:
        await trio.sleep(60)
        return a + b

    @app.task(timeout=1)
    def in_a_thread() -> str:
        time.sleep(0.05)
        return "done"

    async def scenario(a: int) -> tuple[int, str]:
        ticket = await add.submit(a=a, b=2)
        await run_until_idle(app)
        return await ticket.result(), await (await in_a_thread.submit()).result()

    with real_seconds(60):
        assert run(app, scenario, 40) == (42, "done")


def test_a_scenarios_error_leaves_as_it_is(app: TaskSystem) -> None:
    async def scenario() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(app, scenario)

"""What a task system does on either database: one node, a second one beside it that submits."""

from __future__ import annotations

import pytest
import trio

from actors import Retry, RetryPolicy, Settings, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import TaskFailed
from tests.app.world import HOUR, all_ended, collect, echo
from tests.waiting import until

AT_ONCE = RetryPolicy(max_retries=3, base_delay=0.01, jitter=False)


@pytest.fixture
def app(any_url: str, settings: Settings) -> TaskSystem:
    return TaskSystem(any_url, settings=settings)


async def test_a_task_runs_and_gives_its_result_and_its_events(app: TaskSystem) -> None:
    @app.task
    async def greet(name: str) -> str:
        return f"hello {name}"

    with trio.fail_after(10):
        async with app.running(), app.events() as events:
            assert await (await greet.submit(name="trio")).result() == "hello trio"
            told = await collect(events, TaskEventType.COMPLETED)
    assert [event.type.value for event in told] == ["submitted", "started", "completed"]


async def test_all_of_many_run_once_and_the_counters_say_so(app: TaskSystem) -> None:
    runs: list[int] = []

    @app.task
    async def note(number: int) -> None:
        runs.append(number)

    with trio.fail_after(30):
        async with app.running():
            await all_ended(await app.submit_many([note.request(number=number) for number in range(300)]))
            statistics = await app.statistics()
            assert [statistics.by_status["completed"], statistics.total_tasks] == [300, 300]
    assert sorted(runs) == list(range(300))


async def test_what_fails_is_retried_and_what_fails_for_good_says_why(app: TaskSystem) -> None:
    @app.task(retry=AT_ONCE)
    async def flaky(context: TaskContext, failures: int) -> int:
        if context.retry_count < failures:
            raise Retry(after=0.01)
        return context.attempt

    with trio.fail_after(20):
        async with app.running():
            assert await (await flaky.submit(failures=2)).result() == 3
            ticket = await flaky.submit(failures=9)
            with pytest.raises(TaskFailed):
                await ticket.result()
            assert [attempt.outcome for attempt in await app.attempts(ticket.task_id)] == ["failed"] * 4


async def test_threads_children_and_progress_are_stored(app: TaskSystem) -> None:
    @app.task
    async def child(number: int) -> int:
        return number

    @app.task
    def parent(context: TaskContext) -> list[str]:
        context.progress(0.5, "half")
        return [context.submit(child.request(number=number)) for number in range(3)]

    with trio.fail_after(20):
        async with app.running():
            ticket = await parent.submit()
            children = await ticket.result()
            assert [await app.ticket(task_id).result() for task_id in children] == [0, 1, 2]
            progress = (await ticket.task()).progress
            assert progress is not None
            assert progress.message == "half"


async def test_a_task_of_the_future_starts_when_it_is_due(app: TaskSystem) -> None:
    wanted = app.task(echo)
    with trio.fail_after(10):
        async with app.running():
            assert await (await wanted.options(delay=0.3).submit("later")).result() == "later"


async def test_what_one_run_left_waiting_the_next_one_runs(app: TaskSystem) -> None:
    wanted = app.task(echo)
    with trio.fail_after(20):
        async with app.running(work=False):
            ticket = await wanted.submit("x")
            assert await app.nodes() == []
        async with app.running():
            assert await app.ticket(ticket.task_id).result() == "x"
            assert [node.alive for node in await app.nodes()] == [True]
        async with app.running(work=False):
            assert await app.nodes() == []


async def test_a_node_beside_it_submits_waits_cancels_and_pauses(app: TaskSystem, any_url: str) -> None:
    beside = TaskSystem(any_url)
    started = trio.Event()

    @app.task
    async def endless() -> None:
        started.set()
        await trio.sleep_forever()

    app.task(echo)
    wanted = beside.task(echo)
    with trio.fail_after(20):
        async with beside.running(work=False), app.running():
            assert await (await wanted.submit("foreign")).result() == "foreign"
            ticket = await endless.submit()
            await started.wait()
            assert await beside.cancel(ticket.task_id)
            assert (await ticket.wait()).status is TaskStatus.CANCELLED
            await beside.pause(task_type="echo")
            await until(lambda: bool(app.running_node.running.paused))  # it looks every tenth of a second
            waiting = await wanted.submit("paused")
            assert await waiting.status() is TaskStatus.PENDING
            await beside.resume(task_type="echo")
            assert await waiting.result() == "paused"


async def test_a_stop_gives_back_what_did_not_finish(app: TaskSystem) -> None:
    started = trio.Event()

    @app.task
    async def endless(context: TaskContext) -> None:
        started.set()
        with context.until_stopping():
            await trio.sleep_forever()

    with trio.fail_after(20):
        async with app.running():
            ticket = await endless.submit()
            await started.wait()
        async with app.running(work=False):
            task = await app.get(ticket.task_id)
            assert task is not None
            assert (task.status, task.retry_count, task.crash_count) == (TaskStatus.PENDING, 0, 0)


async def test_a_key_that_is_taken_stands_for_the_task_that_holds_it(app: TaskSystem) -> None:
    wanted = app.task(echo)
    with trio.fail_after(10):
        async with app.running():
            keyed = wanted.options(delay=HOUR, key="one")
            first, second = await keyed.submit("a"), await keyed.submit("b")
            assert (first.created, second.created, second.task_id) == (True, False, first.task_id)
            assert await app.cancel(first.task_id)

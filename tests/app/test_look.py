"""Looking: pages, counts, statistics and metrics, and that they add up."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import Abort, Settings, TaskStatus, TaskSystem
from actors.core.task import Order
from actors.errors import InvalidOption, TaskNotFound
from actors.testing import run_until_idle
from tests.app.world import HOUR, all_ended, refused

S = TaskStatus


async def work(how: str = "complete", seconds: float = 0) -> None:
    """Ends as it is told to."""
    await trio.sleep(seconds)
    if how == "fail":
        raise Abort("told to fail")
    if how == "retry":
        raise ConnectionError("told to fail")
    if how == "hang":
        await trio.sleep_forever()


async def pages(app: TaskSystem, order: Order, limit: int, **which: Any) -> list[str]:
    """All task ids, page after page."""
    found: list[str] = []
    while page := await app.list(order=order, limit=limit, after=found[-1] if found else None, **which):
        assert len(page) <= limit
        found += [task.task_id for task in page]
    return found


@pytest.mark.parametrize("limit", [1, 7, 10, 25, 1000])
async def test_pages_in_both_orders_bring_every_task_once(
    app: TaskSystem, limit: int, autojump_clock: MockClock
) -> None:
    declared = app.task(work)
    async with app.running():
        submitted = [(await declared.submit()).task_id for _ in range(25)]
        assert await pages(app, "oldest", limit) == submitted
        assert await pages(app, "newest", limit) == submitted[::-1]


async def test_tasks_that_come_meanwhile_shift_no_page(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(work)
    async with app.running():
        submitted = [(await declared.submit()).task_id for _ in range(10)]
        first = [task.task_id for task in await app.list(limit=5)]
        late = [(await declared.submit()).task_id for _ in range(3)]
        second = [task.task_id for task in await app.list(limit=5, after=first[-1])]
        assert first + second == submitted[::-1]
        assert await pages(app, "oldest", 5) == submitted + late


@pytest.mark.parametrize("name", ["task_type", "lane", "key"])
@pytest.mark.parametrize("value", ["\ud800", "a\0b", 5, ["work"]])
async def test_a_filter_that_nothing_could_have_is_refused(
    app: TaskSystem, name: str, value: Any, autojump_clock: MockClock
) -> None:
    async with app.running():
        for look in (app.list, app.count):
            with refused(InvalidOption, name, "text without"):
                await look(**{name: value})
        with refused(InvalidOption, "task_type", "text without"):
            await app.retry_failed(task_type=value)


@pytest.mark.parametrize("ask", ["cancel", "retry", "delete"])
async def test_an_id_that_no_database_takes_is_no_task(app: TaskSystem, ask: str, autojump_clock: MockClock) -> None:
    async with app.running():
        assert await app.get("\ud800") is None
        with refused(TaskNotFound, "is stored"):
            await getattr(app, ask)("\ud800")


async def test_who_waits_for_an_id_that_no_database_takes_harms_nobody_who_waits_for_another(
    settings: Settings, file_url: str
) -> None:
    worker, clerk = TaskSystem(file_url, settings=settings), TaskSystem(file_url, settings=settings)
    declared = worker.register_handler("work", work)
    async with worker.running(), clerk.running(work=False):
        ticket = clerk.ticket((await declared.options(delay=0.5).submit()).task_id)
        with trio.fail_after(5):
            with refused(TaskNotFound, "is stored"):
                await clerk.ticket("\ud800").result()
            await ticket.result()


async def test_newest_first_and_a_hundred_by_default(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(work)
    async with app.running():
        tickets = await app.submit_many([declared.request() for _ in range(120)])
        assert [task.task_id for task in await app.list()] == [ticket.task_id for ticket in tickets[:19:-1]]


async def test_lists_and_counts_take_the_same_filters(app: TaskSystem, autojump_clock: MockClock) -> None:
    one, other = app.register_handler("one", work), app.register_handler("other", work, lane="double")
    async with app.running():
        await all_ended([await one.submit("fail"), await one.submit(), await other.submit()])
        await trio.sleep(HOUR)
        middle = datetime.now(UTC) + timedelta(minutes=30)
        await other.options(key="k", delay=HOUR).submit()
        expected: list[tuple[dict[str, Any], int]] = [
            ({}, 4),
            ({"task_type": "one"}, 2),
            ({"task_type": "unheard of"}, 0),
            ({"status": S.FAILED}, 1),
            ({"status": S.PENDING}, 1),
            ({"task_type": "one", "status": S.COMPLETED}, 1),
            ({"lane": "double"}, 2),
            ({"key": "k"}, 1),
            ({"created_after": middle}, 1),
            ({"created_before": middle}, 3),
            ({"created_before": middle, "lane": "coroutine", "status": S.COMPLETED}, 1),
        ]
        for which, number in expected:
            assert await app.count(**which) == number, which
            assert len(await app.list(**which)) == number, which


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"limit": 0}, ("limit", "0", "1 to 1000")),
        ({"limit": 1001}, ("limit", "1001")),
        ({"order": "random"}, ("order", "'random'", "'newest'", "'oldest'", "'due'", "'ended'")),
        ({"status": "failed"}, ("status", "'failed'", "TaskStatus")),
        ({"created_after": 5}, ("created_after", "5", "datetime")),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    app: TaskSystem, given: dict[str, Any], words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    async with app.running():
        with refused(InvalidOption, *words):
            await app.list(**given)


async def test_a_page_after_a_task_that_is_gone_is_refused_rather_than_empty(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    gone = str(uuid.uuid4())
    async with app.running():
        with refused(TaskNotFound, gone):
            await app.list(after=gone)


async def test_statistics_counts_and_metrics_add_up(app: TaskSystem, autojump_clock: MockClock) -> None:
    plain = app.register_handler("plain", work, timeout=20, max_retries=0)
    stubborn = app.register_handler("stubborn", work, timeout=None, max_retries=1)
    async with app.running():
        done = [plain.request("complete", 10) for _ in range(6)]
        failed = [plain.request("fail") for _ in range(3)]
        late = [plain.request("hang") for _ in range(2)]
        await app.submit_many([*done, *failed, *late])
        await run_until_idle(app)
        (cancelled,) = await app.submit_many([plain.options(delay=HOUR).request()])
        await cancelled.cancel()
        await plain.options(delay=HOUR).submit()
        running = await stubborn.submit("complete", 2 * HOUR)
        await stubborn.submit("retry")
        await trio.sleep(0.25)
        expected = {S.COMPLETED: 6, S.FAILED: 3, S.TIMEOUT: 2, S.CANCELLED: 1, S.PENDING: 1, S.RUNNING: 1,
                    S.RETRYING: 1}  # fmt: skip
        for status, number in expected.items():
            assert await app.count(status=status) == number, status
        statistics = await app.statistics()
        assert statistics.by_status == {status.value: number for status, number in expected.items()}
        assert statistics.by_type == {"plain": 13, "stubborn": 2}
        assert statistics.total_tasks == await app.count() == len(await app.list()) == 15
        assert (statistics.success_count, statistics.failure_count) == (6, 5)
        assert statistics.success_rate == pytest.approx(100 * 6 / 11)
        assert statistics.avg_execution_time == pytest.approx(10, rel=0.05)
        assert dict(statistics.top_errors) == {"Abort": 3, "TaskTimedOut": 2, "ConnectionError": 1}
        assert statistics.uptime_seconds == pytest.approx(20.25, abs=5)
        assert statistics.throughput_per_minute > 0
        metrics = app.metrics()
        assert (metrics.running_tasks, dict(metrics.running_by_type)) == (1, {"stubborn": 1})
        assert metrics.lanes["coroutine"].running == 1
        assert metrics.rates["completed"] > metrics.rates["failed"] > 0
        assert metrics.latencies["plain"].count == 6
        assert metrics.latencies["plain"].p50 == pytest.approx(10, rel=0.05)
        assert metrics.system_resources.memory_usage_mb > 1
        assert {"storage", "scheduler", "intake"} <= set(metrics.mailboxes)
        await running.wait()
        await trio.sleep(2 * HOUR)
        assert app.metrics().running_tasks == 0
        lane = app.metrics().lanes["coroutine"]
        assert lane.free == lane.slots
        assert (await app.statistics()).by_status == {
            **{status.value: 0 for status in S}, "completed": 8, "failed": 4, "timeout": 2, "cancelled": 1
        }  # fmt: skip


async def test_the_counters_agree_with_the_table_after_a_busy_hour(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(max_retries=1, timeout=5)(work)
    async with app.running():
        hows = ["complete", "fail", "retry", "hang"] * 25
        tickets = await app.submit_many([declared.request(how, number / 100) for number, how in enumerate(hows)])
        for ticket in tickets[::9]:
            await ticket.cancel()
        await run_until_idle(app)
        listed = Counter(task.status for task in await app.list(limit=1000))
        statistics = await app.statistics()
        assert {status.value: listed[status] for status in S} == dict(statistics.by_status)
        assert {status: await app.count(status=status) for status in S} == {status: listed[status] for status in S}
        assert listed.total() == 100
        assert statistics.success_count == listed[S.COMPLETED]
        assert statistics.failure_count == listed[S.FAILED] + listed[S.TIMEOUT]


async def test_an_empty_system_has_statistics_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    async with app.running():
        statistics = await app.statistics()
        assert (statistics.total_tasks, statistics.success_count, statistics.avg_execution_time) == (0, 0, 0)
        assert await app.list() == []


async def test_the_tree_shows_every_actor(app: TaskSystem, autojump_clock: MockClock) -> None:
    async with app.running():
        names = [child.name for child in app.tree()]
    assert [name.partition(":")[0] for name in dict.fromkeys(names)][:4] == ["storage", "monitor", "timeout", "retry"]
    assert {"worker:coroutine", "worker:thread", "worker:single", "scheduler", "intake"} <= set(names)


async def test_cleanup_removes_ended_tasks_by_their_age(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(max_retries=0)(work)
    async with app.running():
        old = [await declared.submit("complete"), await declared.submit("fail")]
        living = await declared.options(delay=10 * HOUR).submit()
        await all_ended(old)
        await trio.sleep(2 * HOUR)
        young = await declared.submit("complete")
        await young.wait()
        assert await app.cleanup(completed_older_than=HOUR, failed_older_than=timedelta(hours=3)) == 1
        assert await app.get(old[0].task_id) is None
        assert await old[1].status() is S.FAILED
        assert await app.cleanup(completed_older_than=HOUR, failed_older_than=HOUR) == 1
        await trio.sleep(1)
        assert await app.cleanup(completed_older_than=0, failed_older_than=0) == 1
        assert await app.count() == 1
        assert await living.status() is S.PENDING
        assert await app.attempts(old[1].task_id) == []
        statistics = await app.statistics()
        assert statistics.total_tasks == 1
        assert (statistics.success_count, statistics.failure_count) == (2, 1), "the history stays"
        with refused(TaskNotFound, old[0].task_id):
            await old[0].wait()


async def test_a_huge_cleanup_goes_in_batches_and_leaves_nothing(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(work)
    async with app.running():
        await app.submit_many([declared.request() for _ in range(2500)])
        await run_until_idle(app)
        await trio.sleep(1)
        assert await app.cleanup(completed_older_than=0) == 2500
        assert await app.count() == 0


@pytest.mark.parametrize("value", [-1, "week"])
async def test_a_cleanup_that_makes_no_sense_is_refused(app: TaskSystem, value: Any, autojump_clock: MockClock) -> None:
    async with app.running():
        with refused(InvalidOption, "completed_older_than", repr(value)):
            await app.cleanup(completed_older_than=value)


async def test_old_tasks_go_by_themselves_failed_ones_later(autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(cleanup_days=0.25, failed_cleanup_days=1))
    declared = app.task(max_retries=0)(work)
    async with app.running():
        completed, failed = await declared.submit("complete"), await declared.submit("fail")
        await run_until_idle(app)
        await trio.sleep(5.5 * HOUR)
        assert await app.count() == 2
        await trio.sleep(2 * HOUR)
        assert await app.get(completed.task_id) is None
        assert await failed.status() is S.FAILED
        await trio.sleep(18 * HOUR)
        assert await app.count() == 0


async def test_what_is_due_next_and_what_ended_last_are_lists_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(work)
    async with app.running():
        done = [(await declared.submit(seconds=seconds)).task_id for seconds in (3.0, 1.0, 2.0)]
        await trio.sleep(5)
        late = [(await declared.options(delay=delay).submit()).task_id for delay in (30, 10, 20)]
        assert await pages(app, "ended", 2) == [done[0], done[2], done[1]]
        assert await pages(app, "due", 2) == [late[1], late[2], late[0]]


async def test_statistics_can_begin_anew(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(work)
    async with app.running():
        await all_ended([await declared.submit(), await declared.submit("fail")])
        await trio.sleep(2 * HOUR)
        await app.reset_statistics()
        found = await app.statistics()
        assert (found.success_count, found.failure_count, found.top_errors) == (0, 0, {})
        assert (found.total_tasks, found.by_status["failed"], found.by_type) == (2, 1, {"work": 2})
        assert (app.metrics().rates, app.metrics().latencies) == ({}, {})
        await all_ended([await declared.submit()])
        assert (await app.statistics()).success_count == 1
        assert app.metrics().latencies["work"].count == 1

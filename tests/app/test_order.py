"""Which task is next: rank, due times, expiry, lanes and limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
from trio.testing import MockClock

from actors import Settings, TaskContext, TaskPriority, TaskRequest, TaskStatus, TaskSystem
from actors.errors import TaskTimedOut
from actors.testing import run_until_idle
from tests.app.world import DAY, HOUR, refused

MINUTE = 60.0


class Notebook:
    """A system with the type `note`, whose tasks go one by one and write down their label."""

    def __init__(self, app: TaskSystem) -> None:
        self.app = app
        self.labels: list[str] = []
        self.declared = app.task(lane="single", timeout=None)(self.note)

    async def note(self, label: str, seconds: float = 0) -> None:
        self.labels.append(label)
        await trio.sleep(seconds)

    async def submit(self, label: str, priority: int = TaskPriority.NORMAL, seconds: float = 0) -> None:
        await self.declared.options(priority=priority).submit(label, seconds)

    async def all(self) -> list[str]:
        """Let everything run; the labels in the order of their starts."""
        await self.app.resume(lane="single")
        await run_until_idle(self.app)
        return self.labels


@pytest.fixture
def notebook(app: TaskSystem) -> Notebook:
    return Notebook(app)


async def test_tasks_of_one_priority_go_in_order_of_submission(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await app.pause(lane="single")
        for number in range(30):
            await notebook.submit(str(number))
        assert await notebook.all() == [str(number) for number in range(30)]


async def test_tasks_submitted_together_go_by_priority(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await app.pause(lane="single")
        for name in ("LOW", "NORMAL", "URGENT", "HIGH"):
            await notebook.submit(name, TaskPriority[name])
        await notebook.submit("top", 100)
        await notebook.submit("bottom", 0)
        assert await notebook.all() == ["top", "URGENT", "HIGH", "NORMAL", "LOW", "bottom"]


@pytest.mark.parametrize(
    ("older_by", "first"), [(5 * MINUTE - 1, "high"), (5 * MINUTE + 1, "normal")], ids=["younger", "older"]
)
async def test_high_overtakes_normal_tasks_that_are_up_to_five_minutes_older(
    app: TaskSystem, notebook: Notebook, older_by: float, first: str, autojump_clock: MockClock
) -> None:
    async with app.running():
        await app.pause(lane="single")
        await notebook.submit("normal", TaskPriority.NORMAL)
        await trio.sleep(older_by)
        await notebook.submit("high", TaskPriority.HIGH)
        assert (await notebook.all())[0] == first


async def test_nothing_starves_behind_a_stream_of_urgent_tasks(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await notebook.submit("first", seconds=30)
        await notebook.submit("low", TaskPriority.LOW)
        for number in range(60):
            await notebook.submit(f"urgent {number}", TaskPriority.URGENT, seconds=30)
            await trio.sleep(29)
        labels = await notebook.all()
    assert "low" in labels[:-1]
    assert 19 * MINUTE / 30 - 3 <= labels.index("low") <= 19 * MINUTE / 29 + 3


async def test_aging_is_a_setting(autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(aging_seconds=1, lanes={"single": 1}))
    notebook = Notebook(app)
    async with app.running():
        await app.pause(lane="single")
        await notebook.submit("normal", TaskPriority.NORMAL)
        await trio.sleep(6)
        await notebook.submit("high", TaskPriority.HIGH)
        assert await notebook.all() == ["normal", "high"]


async def test_a_delayed_task_starts_when_it_is_due_and_not_before(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        ticket = await notebook.declared.options(delay=timedelta(hours=1)).submit("later")
        await notebook.submit("now")
        ended = await ticket.wait()
        assert notebook.labels == ["now", "later"]
        assert ended.started_at is not None
        assert timedelta(0) <= ended.started_at - ended.created_at - timedelta(hours=1) < timedelta(seconds=1)


async def test_run_at_is_a_time_and_a_past_one_means_now(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        future = await notebook.declared.options(run_at=tomorrow).submit("future")
        past = await notebook.declared.options(run_at=tomorrow - timedelta(days=2)).submit("past")
        before = trio.current_time()
        await past.wait()
        assert trio.current_time() - before < 1
        ended = await future.wait()
        assert ended.started_at is not None
        assert timedelta(0) <= ended.started_at - tomorrow < timedelta(seconds=1)


async def test_many_future_tasks_come_each_at_its_time(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        for delay in (50, 10, 40, 20, 30):
            await notebook.declared.options(delay=delay).submit(str(delay))
        await run_until_idle(app)
    assert notebook.labels == ["10", "20", "30", "40", "50"]


async def test_a_task_that_expires_before_its_start_ends_timeout_without_running(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await notebook.submit("long", seconds=HOUR)
        ticket = await notebook.declared.options(expires=10).submit("late")
        before = trio.current_time()
        with refused(TaskTimedOut, ticket.task_id, "note", "not started"):
            await ticket.result()
        assert 9.99 <= trio.current_time() - before < 20
        ended = await ticket.wait()
        assert (ended.status, ended.attempt) == (TaskStatus.TIMEOUT, 0)
        assert await notebook.all() == ["long"]


async def test_expiry_does_not_touch_a_task_that_has_started(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        ticket = await notebook.declared.options(expires=10).submit("early", HOUR)
        assert (await ticket.wait()).status is TaskStatus.COMPLETED


async def test_expires_counts_from_the_submit_or_is_a_time(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await app.pause(lane="single")
        waiting = [
            await notebook.declared.options(expires=timedelta(minutes=1)).submit("a"),
            await notebook.declared.options(expires=datetime.now(UTC) + timedelta(minutes=1)).submit("b"),
            await app.submit(TaskRequest("note", {"label": "c"}, expires_at=datetime.now(UTC) + timedelta(minutes=1))),
        ]
        await trio.sleep(2 * MINUTE)
        assert [await ticket.status() for ticket in waiting] == [TaskStatus.TIMEOUT] * 3


async def test_max_concurrency_bounds_a_type_and_no_other(app: TaskSystem, autojump_clock: MockClock) -> None:
    peaks: dict[str, int] = {}
    running: dict[str, int] = {"few": 0, "many": 0}

    async def count(ctx: TaskContext) -> None:
        running[ctx.task_type] += 1
        peaks[ctx.task_type] = max(peaks.get(ctx.task_type, 0), running[ctx.task_type])
        await trio.sleep(10)
        running[ctx.task_type] -= 1

    few = app.register_handler("few", count, max_concurrency=3)
    many = app.register_handler("many", count)
    async with app.running():
        await app.submit_many([few.request() for _ in range(20)] + [many.request() for _ in range(20)])
        before = trio.current_time()
        await run_until_idle(app)
    assert peaks == {"few": 3, "many": 20}
    assert trio.current_time() - before < 75  # seven rounds of ten seconds: no slot was idle


async def test_a_full_lane_does_not_hold_up_another(
    app: TaskSystem, notebook: Notebook, autojump_clock: MockClock
) -> None:
    async with app.running():
        await notebook.submit("a day", seconds=DAY)
        await notebook.submit("waits")
        other = await notebook.declared.options(lane="double").submit("beside")
        await other.wait()
        assert notebook.labels == ["a day", "beside"]
        lanes = app.metrics().lanes
        assert (lanes["single"].running, lanes["single"].free, lanes["double"].free) == (1, 0, 2)


async def test_a_full_type_at_the_head_of_a_lane_does_not_hold_up_the_types_behind(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    order = []

    async def work(label: str) -> None:
        order.append(label)
        await trio.sleep(100)

    limited = app.register_handler("limited", work, lane="double", max_concurrency=1, priority=100)
    free = app.register_handler("free", work, lane="double")
    async with app.running():
        await app.submit_many([limited.request("l1"), limited.request("l2"), free.request("f1")])
        await run_until_idle(app)
    assert sorted(order[:2]) == ["f1", "l1"]

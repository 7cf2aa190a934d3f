"""What a handler has at hand: its context, a logger, progress; and what it does not see."""

from __future__ import annotations

import logging
import math
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import actors
from actors import TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, NotRunning
from tests.app.world import collect, drained, refused


async def test_the_context_tells_of_the_attempt(app: TaskSystem, autojump_clock: MockClock) -> None:
    seen: list[tuple[Any, ...]] = []

    @app.task(max_retries=4)
    async def look(ctx: TaskContext, number: int) -> None:
        seen.append(
            (ctx.task_id, ctx.task_type, ctx.attempt, ctx.retry_count, ctx.max_retries, ctx.priority, ctx.metadata,
             ctx.input_data, ctx.stopping)
        )  # fmt: skip
        assert actors.current() is ctx
        if ctx.attempt == 1:
            raise ValueError

    async with app.running():
        ticket = await look.options(priority=20, metadata={"a": 1}).submit(number=7)
        await ticket.result()
    common = (4, 20, {"a": 1}, {"number": 7}, None)
    assert seen == [(ticket.task_id, "look", 1, 0, *common), (ticket.task_id, "look", 2, 1, *common)]


async def test_current_is_found_by_what_a_handler_calls_and_in_its_child_tasks(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    found = []

    async def child() -> None:
        found.append(actors.current().task_id)

    @app.task
    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    async with app.running():
        ticket = await parent.submit()
        await ticket.result()
    assert found == [ticket.task_id]


def test_outside_of_a_handler_there_is_no_context() -> None:
    with refused(NotRunning, "actors.current()", "handlers"):
        actors.current()


async def test_no_task_sees_the_context_variables_of_another_or_of_the_submitter(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="clean")

    @app.task(lane="single")
    async def leave_behind(value: str) -> str:
        before = variable.get()
        variable.set(value)
        await trio.sleep(1)
        return f"{before} {variable.get()}"

    async with app.running():
        variable.set("the submitter's")
        tickets = [await leave_behind.submit(str(number)) for number in range(5)]
        assert [await ticket.result() for ticket in tickets] == [f"clean {number}" for number in range(5)]


async def test_log_records_carry_the_task(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @app.task
    async def talk(ctx: TaskContext) -> None:
        ctx.log.info("page %d", 7, extra={"page": 7})
        actors.current().log.warning("again")

    with caplog.at_level(logging.INFO):
        async with app.running():
            ticket = await talk.submit()
            await ticket.result()
    records = [record for record in caplog.records if getattr(record, "task_id", None) == ticket.task_id]
    assert [record.getMessage() for record in records] == ["page 7", "again"]
    assert [(record.task_type, record.attempt) for record in records] == [("talk", 1)] * 2  # type: ignore[attr-defined]
    assert records[0].page == 7  # type: ignore[attr-defined]


async def test_progress_and_log_have_shorthands(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def brief() -> None:
        actors.progress(0.5, "half", step=3)
        actors.log.info("half")

    async with app.running():
        ended = await (await brief.submit()).wait()
    assert ended.status is TaskStatus.COMPLETED, ended.error_info
    assert ended.progress is not None
    assert (ended.progress.fraction, ended.progress.message, ended.progress.data) == (0.5, "half", {"step": 3})


async def test_the_log_can_be_imported_by_name_outside_of_a_handler(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    names = {name: getattr(actors, name) for name in actors.__all__}

    @app.task
    async def talk() -> None:
        names["log"].warning("bound before")

    async with app.running():
        ticket = await talk.submit()
        await ticket.result()
    assert [record.task_id for record in caplog.records if record.getMessage() == "bound before"] == [ticket.task_id]  # type: ignore[attr-defined]


async def test_progress_is_stored_while_the_task_runs_and_told_as_an_event(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def work(ctx: TaskContext) -> None:
        ctx.progress(0.25, "a quarter", page=3)
        await trio.sleep(100)

    async with app.running(), app.events(types=[TaskEventType.PROGRESS]) as told:
        ticket = await work.submit()
        event = await told.receive()
        assert (event.task_id, event.attempt, event.data["fraction"]) == (ticket.task_id, 1, 0.25)
        await trio.sleep(1)
        task = await app.get(ticket.task_id)
        assert task is not None
        assert task.progress is not None
        assert (task.progress.fraction, task.progress.message) == (0.25, "a quarter")
        assert task.progress.data == {"page": 3}
        assert task.progress.at is not None
        assert task.progress.at.tzinfo is UTC


async def test_a_flood_of_progress_is_written_five_times_a_second_and_the_latest_wins(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    seconds = 4

    @app.task
    async def flood(ctx: TaskContext) -> None:
        for number in range(1000 * seconds):
            ctx.progress(number / (1000 * seconds), str(number))
            await trio.sleep(0.001)

    async with app.running(), app.events(types=[TaskEventType.PROGRESS, TaskEventType.COMPLETED]) as events:
        ticket = await flood.submit()
        told = await collect(events, TaskEventType.COMPLETED)
        task = await app.get(ticket.task_id)
    words = [int(event.data["message"]) for event in told if event.type is TaskEventType.PROGRESS]
    assert 2 * seconds <= len(words) <= 5 * seconds + 1
    assert words == sorted(words)
    assert task is not None
    assert task.progress is not None
    assert task.progress.message == str(1000 * seconds - 1)


async def test_a_flood_without_a_pause_harms_nobody(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def flood(ctx: TaskContext) -> None:
        for number in range(20_000):
            ctx.progress(number / 20_000)
        ctx.progress(1, "done")

    async with app.running(), app.events(types=[TaskEventType.PROGRESS, TaskEventType.COMPLETED]) as events:
        ticket = await flood.submit()
        ended = await ticket.wait()
        await collect(events, TaskEventType.COMPLETED)
        assert len(drained(events)) <= 1
    assert ended.progress is not None
    assert (ended.progress.fraction, ended.progress.message) == (1, "done")


async def test_the_last_word_before_a_failure_is_kept_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(max_retries=0)
    async def fail(ctx: TaskContext) -> None:
        ctx.progress(0.1)
        ctx.progress(0.9, "nearly")
        raise ValueError

    async with app.running():
        ended = await (await fail.submit()).wait()
        task = await app.get(ended.task_id)
    assert task is not None
    assert task.progress is not None
    assert (task.progress.fraction, task.progress.message) == (0.9, "nearly")


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, "half", None])
async def test_a_fraction_out_of_range_is_refused(app: TaskSystem, fraction: Any, autojump_clock: MockClock) -> None:
    @app.task
    async def work(ctx: TaskContext) -> None:
        with refused(InvalidOption, "fraction", repr(fraction), "0 to 1"):
            ctx.progress(fraction)

    async with app.running():
        await (await work.submit()).result()


@pytest.mark.parametrize("value", [object(), math.nan, 2**70, datetime(2026, 1, 1, tzinfo=UTC)])
async def test_progress_data_that_is_no_json_is_refused_where_it_is_given(
    app: TaskSystem, value: Any, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=0)
    async def work(ctx: TaskContext) -> None:
        with refused(InvalidPayload, "data.bad"):
            ctx.progress(0.5, bad=value)
        ctx.progress(0.6, good=1)

    async with app.running():
        ended = await (await work.submit()).wait()
        assert ended.status is TaskStatus.COMPLETED, ended.error_info
        assert ended.progress is not None
        assert ended.progress.data == {"good": 1}


async def test_a_wall_clock_that_steps_back_does_no_harm(
    app: TaskSystem, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    from actors.system.clock import Clock

    begin, step = trio.current_time(), 0.0

    def wall() -> float:
        return 1_800_000_000 + trio.current_time() - begin - step

    monkeypatch.setattr("actors.system.opening.Clock", lambda *_: Clock(wall))

    @app.task
    async def work() -> str:
        await trio.sleep(10)
        return "done"

    async with app.running():
        delayed = await work.options(delay=60).submit()
        first = await work.submit()
        await trio.sleep(5)
        step = 3600.0
        second = await work.submit()
        before = trio.current_time()
        assert [await ticket.result() for ticket in (first, second, delayed)] == ["done"] * 3
        assert trio.current_time() - before < 70
        tasks = [await ticket.wait() for ticket in (first, second, delayed)]
    for task in tasks:
        assert task.started_at is not None
        assert task.completed_at is not None
        assert task.created_at <= task.started_at
        assert 9 < (task.completed_at - task.started_at).total_seconds() < 11
    assert tasks[1].created_at >= tasks[0].created_at

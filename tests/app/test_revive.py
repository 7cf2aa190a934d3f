"""Reviving ended tasks: one of them, and all that failed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import trio
from trio.testing import MockClock

from actors import Abort, RetryPolicy, Settings, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import IllegalTransition, InvalidOption, TaskFailed, TaskNotFound
from actors.store.revive import Failures
from tests.app.world import all_ended, collect, refused

S = TaskStatus


async def broken(context: TaskContext, heals_at: int = 2) -> str:
    """Fails until the attempt *heals_at*."""
    if context.attempt < heals_at:
        raise Abort("not yet")
    return f"attempt {context.attempt}"


async def test_a_failed_task_runs_again_at_once_and_its_ticket_waits_for_the_new_end(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.submit()
        with pytest.raises(TaskFailed):
            await ticket.result()
        started = trio.current_time()
        again = await app.retry(ticket.task_id)
        assert (again.task_id, again.created) == (ticket.task_id, False)
        assert await again.result() == await ticket.result() == "attempt 2"
        assert trio.current_time() - started < 0.1
        assert [attempt.number for attempt in await app.attempts(ticket.task_id)] == [1]
        assert (await app.statistics()).by_status["failed"] == 0


async def test_retries_begin_anew(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(retry=RetryPolicy(max_retries=2, base_delay=1))
    async def fails(context: TaskContext) -> None:
        raise ConnectionError("down")

    async with app.running():
        ticket = await fails.submit()
        assert (await ticket.wait()).attempt == 3
        await app.retry(ticket.task_id)
        task = await ticket.wait()
        assert (task.status, task.attempt, task.retry_count) == (S.FAILED, 6, 2)


@pytest.mark.parametrize("end", [S.COMPLETED, S.CANCELLED])
async def test_other_ends_can_be_revived_too(app: TaskSystem, end: TaskStatus, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.options(delay=10).submit(heals_at=1)
        if end is S.CANCELLED:
            await ticket.cancel()
        assert (await ticket.wait()).status is end
        await app.retry(ticket.task_id)
        task = await ticket.wait()
        assert (task.status, task.result_data) == (S.COMPLETED, f"attempt {2 if end is S.COMPLETED else 1}")


async def test_an_expiry_of_the_past_does_not_end_it_again(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        await app.pause(task_type="broken")
        ticket = await declared.options(expires=5).submit(heals_at=1)
        assert (await ticket.wait()).status is S.TIMEOUT
        await app.resume(task_type="broken")
        await app.retry(ticket.task_id)
        assert await ticket.result() == "attempt 1"


async def test_a_task_that_has_not_ended_is_not_retried(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.options(delay=60).submit()
        with refused(IllegalTransition, ticket.task_id, "'broken'", "is pending", "when it has ended"):
            await app.retry(ticket.task_id)
        with refused(TaskNotFound, "no task"):
            await app.retry(str(uuid.uuid4()))


async def test_a_task_whose_key_is_taken_is_not_retried(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.options(key="one").submit()
        await ticket.wait()
        rival = await declared.options(key="one", delay=60).submit()
        with refused(IllegalTransition, ticket.task_id, "the key 'one'", "another task", "has taken"):
            await app.retry(ticket.task_id)
        await rival.cancel()
        await app.retry(ticket.task_id)
        assert await ticket.result() == "attempt 2"


async def test_a_revival_is_told_as_submitted_with_what_it_was(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.submit()
        await ticket.wait()
        async with ticket.events() as receive:
            await app.retry(ticket.task_id)
            events = await collect(receive, TaskEventType.COMPLETED)
        assert [event.type.value for event in events] == ["submitted", "started", "completed"]
        assert (events[0].attempt, events[0].data) == (1, {"revived_from": "failed"})


async def test_all_that_failed_comes_back_but_for_what_a_living_task_stands_for(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    one, other = app.register_handler("one", broken), app.register_handler("other", broken)
    async with app.running():
        tickets = await app.submit_many([one.request(heals_at=3) for _ in range(600)])
        keyed = await one.options(key="k").submit()
        others = [await other.submit(heals_at=9), await other.submit(heals_at=1)]
        await all_ended([*tickets, keyed, *others])
        await one.options(key="k", delay=60).submit()
        assert await app.retry_failed(task_type="one") == 600
        await all_ended(tickets)
        assert await app.count(status=S.FAILED) == 602
        assert await app.retry_failed() == 601
        await all_ended([*tickets, *others])
        assert await app.count(task_type="one", status=S.COMPLETED) == 600
        assert await app.count(status=S.FAILED) == 2
        assert await app.retry_failed("unheard of") == 0


async def test_what_another_has_revived_and_has_completed_since_does_not_come_back(
    app: TaskSystem, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    declared = app.task(broken)
    async with app.running():
        ticket = await declared.submit(heals_at=1)
        await ticket.wait()
        monkeypatch.setattr("actors.system.steering.failures", lambda *_, **__: Failures([ticket.task_id], None))
        assert await app.retry_failed() == 0
        assert (await ticket.task()).attempt == 1


async def test_only_what_failed_since_then_comes_back(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(broken)
    async with app.running():
        old = await declared.submit()
        await old.wait()
        await trio.sleep(100)
        since = datetime.now(UTC) + timedelta(seconds=50)
        young = await declared.submit()
        await young.wait()
        assert await app.retry_failed(since=since) == 1
        assert await young.result() == "attempt 2"
        assert await old.status() is S.FAILED
        with refused(InvalidOption, "since", "datetime"):
            await app.retry_failed(since=5)  # type: ignore[arg-type]


async def test_a_node_that_only_submits_can_revive_what_another_runs(settings: Settings, file_url: str) -> None:
    worker, clerk = TaskSystem(file_url, settings=settings), TaskSystem(file_url, settings=settings)
    declared = worker.task(broken)
    async with worker.running(), clerk.running(work=False):
        ticket = await declared.submit()
        await ticket.wait()
        with trio.fail_after(5):
            again = await clerk.retry(ticket.task_id)
            assert await again.result() == "attempt 2"

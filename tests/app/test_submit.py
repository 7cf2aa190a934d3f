"""Submitting: acknowledged is durable, and one piece of work is one task."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import TaskEventType, TaskPriority, TaskRequest, TaskStatus, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, TaskNotFound, UnknownTaskType
from tests.app.world import HOUR, collect, echo, refused


async def test_a_ticket_carries_a_uuid_of_version_7_and_says_created(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(echo)
    async with app.running():
        ticket = await declared.submit("a")
        assert uuid.UUID(ticket.task_id).version == 7
        assert ticket.created
        assert await ticket.result() == "a"
        assert await ticket.status() is TaskStatus.COMPLETED


async def test_the_task_shows_what_was_submitted(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    run_at = datetime.now(UTC) + timedelta(hours=2)
    async with app.running():
        ticket = await declared.options(
            priority=TaskPriority.HIGH, run_at=run_at, timeout=7, soft_timeout=5, max_retries=9, key="k",
            metadata={"trace": [1, "x"]}, lane="double",
        ).submit(text="a")  # fmt: skip
        task = await app.get(ticket.task_id)
    assert task is not None
    assert (task.status, task.priority, task.lane, task.key) == (TaskStatus.PENDING, 10, "double", "k")
    assert (task.timeout_seconds, task.soft_timeout_seconds, task.max_retries) == (7.0, 5.0, 9)
    assert (task.input_data, task.metadata) == ({"text": "a"}, {"trace": [1, "x"]})
    assert (task.attempt, task.retry_count, task.crash_count, task.node) == (0, 0, 0, None)
    assert abs(task.due_at - run_at) < timedelta(milliseconds=1)
    assert task.created_at.tzinfo is UTC
    assert task.started_at is task.completed_at is task.result_data is task.error_info is None


async def test_a_bound_copy_leaves_the_original_alone(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    declared.options(key="k", delay=HOUR)
    async with app.running():
        assert (await (await declared.submit()).wait()).key is None


async def test_options_add_up(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    async with app.running():
        ticket = await declared.options(priority=20).options(key="k").submit()
        task = await ticket.wait()
    assert (task.priority, task.key) == (20, "k")


async def test_an_infinite_wish_for_time_means_no_limit(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=None)
    async def patient() -> None:
        await trio.sleep(10 * HOUR)

    async with app.running():
        ended = await (await patient.submit()).wait()
    assert ended.status is TaskStatus.COMPLETED
    assert ended.timeout_seconds is None


async def test_a_second_submit_of_one_task_id_is_the_same_task(app: TaskSystem, autojump_clock: MockClock) -> None:
    app.task(echo)
    task_id = str(uuid.uuid4())
    async with app.running():
        first = await app.submit(TaskRequest("echo", {"text": "first"}, task_id=task_id))
        again = await app.submit(TaskRequest("echo", {"text": "again"}, task_id=task_id))
        assert (first.task_id, first.created) == (task_id, True)
        assert (again.task_id, again.created) == (task_id, False)
        assert await again.result() == "first"
        late = await app.submit(TaskRequest("echo", {"text": "late"}, task_id=task_id))
        assert not late.created
        assert await app.count() == 1


async def test_submits_of_one_task_id_at_the_same_time_make_one_task(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    app.task(echo)
    request = TaskRequest("echo", task_id=str(uuid.uuid4()))
    created = []

    async def submit() -> None:
        created.append((await app.submit(request)).created)

    async with app.running():
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(submit)
        assert sorted(created) == [False] * 19 + [True]
        assert await app.count() == 1


async def test_a_task_id_that_is_no_uuid_is_refused(app: TaskSystem, autojump_clock: MockClock) -> None:
    app.task(echo)
    async with app.running():
        with refused(InvalidOption, "task_id", "'order-17'", "UUID"):
            await app.submit(TaskRequest("echo", task_id="order-17"))
        assert await app.count() == 0


async def test_one_key_is_one_living_task_and_a_new_one_after_its_end(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(echo).options(key="daily", delay=HOUR)
    async with app.running():
        first = await declared.submit("first")
        second = await declared.submit("second")
        assert (second.task_id, second.created) == (first.task_id, False)
        assert await second.result() == "first"
        third = await declared.submit("third")
        assert third.created
        assert await third.result() == "third"


async def test_a_key_is_free_again_after_each_kind_of_end(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(max_retries=0, timeout=10)
    async def end(how: str) -> None:
        if how == "fail":
            raise ValueError(how)
        await trio.sleep(HOUR)

    async with app.running():
        for how in ("fail", "time out", "cancel"):
            ticket = await end.options(key="k").submit(how)
            if how == "cancel":
                await ticket.cancel()
            assert ticket.created
            await ticket.wait()
        assert (await end.options(key="k").submit("fail")).created


async def test_a_key_is_held_while_its_task_runs_or_waits_for_a_retry(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=1)
    async def fail_slowly() -> None:
        await trio.sleep(100)
        raise ValueError

    async with app.running():
        keyed = fail_slowly.options(key="k")
        async with app.events() as events:
            await keyed.submit()
            for moment in (TaskEventType.STARTED, TaskEventType.RETRY_SCHEDULED):
                await collect(events, moment)
                assert not (await keyed.submit()).created


async def test_types_do_not_share_keys(app: TaskSystem, autojump_clock: MockClock) -> None:
    one, other = app.register_handler("one", echo), app.register_handler("other", echo)
    async with app.running():
        tickets = [await declared.options(key="k", delay=HOUR).submit() for declared in (one, other)]
        assert [ticket.created for ticket in tickets] == [True, True]


async def test_submit_many_returns_tickets_in_the_order_of_the_requests(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(echo)
    async with app.running():
        tickets = await app.submit_many(declared.request(str(number)) for number in range(50))
        assert [await ticket.result() for ticket in tickets] == [str(number) for number in range(50)]
        assert await app.submit_many([]) == []


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (TaskRequest("echo", {"text": 5}), InvalidPayload),
        (TaskRequest("ecco"), UnknownTaskType),
        (TaskRequest("echo", priority=101), InvalidOption),
    ],
)
async def test_submit_many_takes_all_or_none(
    app: TaskSystem, bad: TaskRequest, kind: type[Exception], autojump_clock: MockClock
) -> None:
    declared = app.task(echo)
    async with app.running():
        with pytest.raises(kind):
            await app.submit_many([declared.request("good"), bad, declared.request("good too")])
        assert await app.count() == 0


async def test_one_key_twice_in_submit_many_is_one_task(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo).options(key="k")
    async with app.running():
        first, second = await app.submit_many([declared.request("a"), declared.request("b")])
        assert (first.created, second.created) == (True, False)
        assert first.task_id == second.task_id
        assert await second.result() == "a"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"priority": 101}, ("priority", "101", "0 to 100")),
        ({"priority": True}, ("priority", "True")),
        ({"delay": -1}, ("delay", "-1", "seconds")),
        ({"delay": math.nan}, ("delay", "nan")),
        ({"delay": "5"}, ("delay", "'5'", "seconds")),
        ({"delay": 1, "run_at": datetime.now(UTC)}, ("delay", "run_at")),
        ({"run_at": 12345}, ("run_at", "12345", "datetime")),
        ({"expires": -1}, ("expires", "-1")),
        ({"timeout": 0}, ("timeout", "0", "more than 0")),
        ({"soft_timeout": -2}, ("soft_timeout", "-2")),
        ({"max_retries": -1}, ("max_retries", "-1")),
        ({"key": ""}, ("key", "''")),
        ({"key": 5}, ("key", "5")),
        ({"metadata": [1]}, ("metadata", "[1]", "mapping")),
    ],
)
async def test_options_that_cannot_work_are_refused_at_once(
    given: dict[str, Any], words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    declared = TaskSystem("sqlite:///:memory:").task(echo)
    with refused(InvalidOption, *words):
        declared.options(**given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"priority": 101}, ("priority", "101")),
        ({"timeout_seconds": 0}, ("timeout", "0")),
        ({"timeout_seconds": -1}, ("timeout", "-1")),
        ({"max_retries": -1}, ("max_retries", "-1")),
        ({"run_at": "now"}, ("run_at", "'now'")),
        ({"key": "a\nb"}, ("key",)),
        ({"lane": "singel"}, ("'singel'", "did you mean 'single'?")),
        ({"metadata": 5}, ("metadata", "5")),
        ({"soft_timeout_seconds": 10, "timeout_seconds": 5}, ("soft_timeout", "10", "5")),
    ],
)
async def test_requests_that_cannot_work_are_refused_and_nothing_is_stored(
    app: TaskSystem, given: dict[str, Any], words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    app.task(echo)
    async with app.running():
        with refused(InvalidOption, *words):
            await app.submit(TaskRequest("echo", **given))
        assert await app.count() == 0


async def test_a_ticket_for_a_task_that_is_not_stored_says_so(app: TaskSystem, autojump_clock: MockClock) -> None:
    unknown = str(uuid.uuid4())
    async with app.running():
        ticket = app.ticket(unknown)
        for ask in (ticket.result, ticket.wait, ticket.status, ticket.cancel):
            with refused(TaskNotFound, unknown):
                await ask()
        assert await app.get(unknown) is None


async def test_a_ticket_made_later_is_as_good(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    async with app.running():
        ticket = await declared.options(delay=HOUR).submit("x")
        assert await app.ticket(ticket.task_id).result() == "x"


async def test_many_may_wait_for_one_result_and_a_wait_may_be_given_up(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(echo)
    results = []

    async def wait() -> None:
        results.append(await ticket.result())

    async with app.running():
        ticket = await declared.options(delay=10).submit("x")
        with trio.move_on_after(5) as scope:
            await ticket.result()
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(wait)
    assert results == ["x"] * 5


async def test_the_channel_of_requests_is_as_good_as_submit(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    async with app.running(), app.events(types=[TaskEventType.COMPLETED]) as completed:
        async with app.requests() as requests:
            for text in "abc":
                await requests.send(declared.request(text))
        tasks = [await app.get((await completed.receive()).task_id) for _ in range(3)]
    assert sorted(task.result_data for task in tasks if task is not None) == ["a", "b", "c"]


@pytest.mark.parametrize("given", ["echo", None, {"task_type": "echo"}])
async def test_what_is_no_request_is_refused(app: TaskSystem, given: Any) -> None:
    app.task(echo)
    async with app.running():
        for ask in (lambda: app.submit(given), lambda: app.submit_many([given])):
            with refused(InvalidOption, repr(given), "TaskRequest"):
                await ask()


@pytest.mark.parametrize("given", [TaskRequest("echo"), None])
async def test_what_is_no_list_of_requests_is_refused(app: TaskSystem, given: Any) -> None:
    app.task(echo)
    async with app.running():
        with refused(InvalidOption, "requests", repr(given)[:20], "list"):
            await app.submit_many(given)


@pytest.mark.parametrize("lane", [5, ["single"]])
async def test_a_lane_that_is_no_text_is_refused(app: TaskSystem, lane: Any) -> None:
    app.task(echo)
    async with app.running():
        with refused(InvalidOption, "lane", repr(lane), "text"):
            await app.submit(TaskRequest("echo", {"text": "x"}, lane=lane))


@pytest.mark.parametrize("task_type", [None, 5, ["echo"]])
async def test_a_task_type_that_is_no_text_is_refused(app: TaskSystem, task_type: Any) -> None:
    app.task(echo)
    async with app.running():
        with refused(InvalidOption, "task_type", repr(task_type), "text"):
            await app.submit(TaskRequest(task_type))


async def test_nothing_sent_by_the_channel_harms_the_node(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(echo)
    bad: list[Any] = ["echo", None, TaskRequest(["echo"]), TaskRequest("echo", 5)]  # type: ignore[arg-type]  # as careless callers do
    async with app.running(), app.events() as events:
        async with app.requests() as requests:
            for request in [*bad, declared.request("good")]:
                requests.send_nowait(request)
        seen = await collect(events, TaskEventType.COMPLETED)
        assert sum(event.type is TaskEventType.REJECTED for event in seen) == len(bad)
        assert all(child.restarts == 0 for child in app.tree())


async def test_a_bad_request_on_the_channel_is_rejected_and_harms_no_other(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(echo)
    async with app.running(), app.events() as events:
        async with app.requests() as requests:
            requests.send_nowait(TaskRequest("echo", {"text": 5}))
            requests.send_nowait(TaskRequest("ecco"))
            requests.send_nowait(declared.request("good"))
        seen = await collect(events, TaskEventType.COMPLETED)
        rejected = [event for event in seen if event.type is TaskEventType.REJECTED]
        assert [event.task_type for event in rejected] == ["echo", "ecco"]
        assert "text" in str(rejected[0].data)
        assert "did you mean" in str(rejected[1].data)
        assert await app.count() == 1

"""`app.map`: payloads in, results out, with bounded memory in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import DeclaredTask, TaskContext, TaskEventType, TaskRequest, TaskStatus, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, NotRunning, TaskFailed
from tests.app.world import refused


@attrs.define
class Work:
    """A task type, and what its handlers wait for."""

    app: TaskSystem
    double: DeclaredTask[Any, int]
    gates: dict[int, trio.Event]

    def payloads(self, count: int) -> Iterator[Mapping[str, Any]]:
        return ({"number": number} for number in range(count))


@pytest.fixture
def work(app: TaskSystem) -> Work:
    """Doubles a number, when its gate is open, if it has one; there is no double of 13."""
    gates: dict[int, trio.Event] = {}

    @app.task(max_retries=0)
    async def double(number: int) -> int:
        if number in gates:
            await gates[number].wait()
        if number == 13:
            raise ValueError("unlucky")
        return 2 * number

    return Work(app, double, gates)


async def all_of(mapped: AbstractAsyncContextManager[AsyncIterator[int]]) -> list[int]:
    """Every result."""
    async with mapped as results:
        return [result async for result in results]


async def test_results_come_in_the_order_of_the_payloads(work: Work) -> None:
    work.gates[0] = trio.Event()
    work.gates[0].set()
    async with work.app.running(), work.app.map(work.double, work.payloads(10), chunk=3) as results:
        assert [result async for result in results] == [2 * number for number in range(10)]
        assert [result async for result in results] == []


async def test_an_early_result_waits_for_those_before_it_unless_the_order_does_not_matter(work: Work) -> None:
    work.gates[0] = trio.Event()
    async with work.app.running():
        async with work.app.map(work.double, work.payloads(3), ordered=False) as results:
            assert {await anext(results), await anext(results)} == {2, 4}
            work.gates[0].set()
            assert [result async for result in results] == [0]
        work.gates[0] = trio.Event()
        async with work.app.map(work.double, work.payloads(3)) as results:
            with trio.move_on_after(0.05) as patience:
                await anext(results)
            assert patience.cancelled_caught
            work.gates[0].set()
            assert [result async for result in results] == [0, 2, 4]


async def test_payloads_may_come_one_by_one_and_none_waits_for_the_next(work: Work) -> None:
    send, receive = trio.open_memory_channel[Mapping[str, Any]](0)
    async with work.app.running(), work.app.map(work.double, receive) as results:
        for number in range(5):
            await send.send({"number": number})
            assert await anext(results) == 2 * number
        await send.aclose()
        assert [result async for result in results] == []


async def test_no_more_are_submitted_than_may_be_in_flight_and_no_more_payloads_are_read(
    work: Work, autojump_clock: MockClock
) -> None:
    read = 0

    def payloads() -> Iterator[Mapping[str, Any]]:
        nonlocal read
        for number in range(100):
            read += 1
            yield {"number": number % 10}

    async with work.app.running(), work.app.map(work.double, payloads(), chunk=4, most_in_flight=10) as results:
        await trio.sleep(60)
        stored = await work.app.count()
        assert 10 - 4 < stored <= 10
        assert read <= stored + 1 + 4 + 1  # one in the hand, a chunk that waits, and one that waits for room there
        for number in range(4):
            assert await anext(results) == 2 * number
        await trio.sleep(60)
        assert stored < await work.app.count() <= 14
        assert len([result async for result in results]) == 96


async def test_the_error_of_a_task_is_raised_in_its_place_and_the_next_step_goes_on(work: Work) -> None:
    async with work.app.running(), work.app.map(work.double, work.payloads(15)) as results:
        found: list[object] = []
        while len(found) < 15:
            try:
                found.append(await anext(results))
            except TaskFailed as error:
                found.append(error.error_info and error.error_info.message)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
    assert found == [*(2 * number for number in range(13)), "unlucky", 28]


async def test_errors_may_be_given_instead(work: Work) -> None:
    async with (
        work.app.running(),
        work.app.map(work.double, [{"number": 13}, {"number": 1}], errors="yield") as results,
    ):
        first, second = [result async for result in results]
    assert isinstance(first, TaskFailed)
    assert second == 2


async def test_an_error_leaves_the_block_as_it_is_and_what_has_not_ended_is_cancelled(work: Work) -> None:
    work.gates.update({number: trio.Event() for number in (13, *range(20, 30))})
    payloads = [{"number": 13}, *({"number": number} for number in range(20, 30))]

    async def take_all() -> None:
        async with work.app.map(work.double, payloads) as results:
            await wait_all_tasks_blocked()
            work.gates[13].set()
            async for _ in results:
                pass

    async with work.app.running():
        with pytest.raises(TaskFailed, match="unlucky"):
            await take_all()
        await until_ended(work.app)
        assert await work.app.count(status=TaskStatus.CANCELLED) == 10


async def until_ended(app: TaskSystem) -> None:
    """Wait for the end of all tasks."""
    for task in await app.list(limit=1000):
        await app.ticket(task.task_id).wait()


async def test_what_was_submitted_may_be_kept(work: Work) -> None:
    work.gates[1] = trio.Event()
    async with work.app.running():
        async with work.app.map(work.double, work.payloads(3), keep=True) as results:
            assert await anext(results) == 0
        work.gates[1].set()
        await until_ended(work.app)
        assert await work.app.count(status=TaskStatus.COMPLETED) == 3


async def test_a_cancel_of_the_block_cancels_its_tasks_too_and_leaves_no_one_waiting(
    work: Work, autojump_clock: MockClock
) -> None:
    work.gates[0] = trio.Event()
    async with work.app.running():
        with trio.move_on_after(5) as scope:
            async with work.app.map(work.double, work.payloads(1)) as results:
                await anext(results)
        assert scope.cancelled_caught
        await until_ended(work.app)
        (task,) = await work.app.list()
        assert task.status is TaskStatus.CANCELLED


async def test_an_error_of_the_blocks_own_is_not_lost_when_the_block_is_cancelled_too(work: Work) -> None:
    async def fail(scope: trio.CancelScope) -> None:
        async with work.app.map(work.double, work.payloads(1000)):
            scope.cancel()
            raise ValueError("mine")

    async with work.app.running():
        with trio.CancelScope() as scope, pytest.raises(ValueError, match="mine"):
            await fail(scope)


async def test_tasks_of_others_are_left_alone(work: Work) -> None:
    work.gates[0] = trio.Event()
    keyed = work.double.options(key="the one")
    async with work.app.running():
        ticket = await keyed.submit(number=0)
        async with work.app.map(keyed, work.payloads(2)):
            await wait_all_tasks_blocked()
        assert (await ticket.task()).status is TaskStatus.RUNNING
        work.gates[0].set()
        assert await all_of(work.app.map(keyed, work.payloads(2))) == [0, 0]


async def test_options_of_the_task_hold_for_each(work: Work) -> None:
    async with work.app.running():
        later = work.double.options(priority=9, delay=0.01, metadata={"of": "the map"})
        async with work.app.map(later, work.payloads(2)) as results:
            assert [result async for result in results] == [0, 2]
        tasks = await work.app.list()
        assert [(task.priority, task.metadata) for task in tasks] == [(9, {"of": "the map"})] * 2
        assert all(task.due_at > task.created_at for task in tasks)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_payload_that_does_not_fit_is_told_after_the_results_of_those_before(work: Work, ordered: bool) -> None:
    payloads: list[Any] = [{"number": 1}, {"number": 2}, {"number": "3"}, {"number": 4}]
    async with work.app.running(), work.app.map(work.double, payloads, ordered=ordered) as results:
        assert {await anext(results), await anext(results)} == {2, 4}
        with refused(InvalidPayload, "task 'double': field 'number' is \"3\" (str)"):
            await anext(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        assert await work.app.count() == 2


async def test_the_note_of_such_an_error_says_which_payload_it_was(work: Work) -> None:
    async with work.app.running(), work.app.map(work.double, [{"number": 1}, 5], chunk=1) as results:  # type: ignore[list-item]
        await anext(results)
        with pytest.raises(InvalidPayload, match="the payload is 5; it should be a mapping") as caught:
            await anext(results)
    assert caught.value.__notes__ == ["in payload 1 of the map, counted from 0"]


async def test_an_error_of_the_source_comes_after_the_results_too(work: Work) -> None:
    def sync_source() -> Iterator[Mapping[str, Any]]:
        yield {"number": 1}
        raise OSError("the file ends early")

    async def async_source() -> AsyncIterator[Mapping[str, Any]]:
        for payload in sync_source():
            yield payload

    async with work.app.running():
        for source in (sync_source(), async_source()):
            async with work.app.map(work.double, source) as results:
                assert await anext(results) == 2
                with pytest.raises(OSError, match="ends early"):
                    await anext(results)


async def test_an_async_generator_is_closed_when_the_block_is_left(work: Work) -> None:
    closed = trio.Event()

    async def source() -> AsyncIterator[Mapping[str, Any]]:
        try:
            for payload in work.payloads(1000):
                yield payload
        finally:
            closed.set()

    async with work.app.running():
        async with work.app.map(work.double, source(), chunk=1, most_in_flight=1) as results:
            await anext(results)
        assert closed.is_set()


async def test_it_works_from_a_node_that_only_submits(work: Work, file_url: str) -> None:
    other = TaskSystem(file_url)
    double = other.register_handler("double", work.double.__wrapped__)
    async with work.app.running(database_url=file_url), other.running(work=False):
        assert await all_of(other.map(double, work.payloads(5))) == [0, 2, 4, 6, 8]


async def test_a_task_that_was_deleted_meanwhile_is_told(work: Work, file_url: str) -> None:
    other = TaskSystem(file_url)
    double = other.register_handler("double", work.double.__wrapped__)
    async with other.running(work=False), other.map(double, work.payloads(1), errors="yield") as results:
        await until_async_count(other, 1)
        (task,) = await other.list()
        await other.cancel(task.task_id)
        await other.delete(task.task_id)
        assert "cancelled" in str(await anext(results))


async def until_async_count(app: TaskSystem, count: int) -> None:
    """Wait until so many tasks are stored."""
    async with app.events(types=TaskEventType.SUBMITTED) as events:
        while await app.count() < count:
            await events.receive()


async def test_the_stop_of_the_system_ends_it(work: Work) -> None:
    work.gates[0] = trio.Event()
    stop = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        async with work.app.running():
            work.app.running_node.grace = 0
            task_status.started()
            await stop.wait()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        mapped = work.app.map(work.double, work.payloads(1))
        stop.set()
        with pytest.raises(NotRunning):
            await all_of(mapped)


async def test_before_submit_hooks_see_each_request(work: Work) -> None:
    seen: list[TaskRequest] = []
    work.app.before_submit(lambda request: seen.append(request))
    async with work.app.running(), work.app.map(work.double, work.payloads(3)) as results:
        assert len([result async for result in results]) == 3
    assert [request.input_data["number"] for request in seen] == [0, 1, 2]


async def test_a_handler_may_map(work: Work) -> None:
    @work.app.task
    async def total(ctx: TaskContext, count: int) -> int:
        async with work.app.map(work.double, work.payloads(count), ordered=False) as results:
            return sum([result async for result in results])

    async with work.app.running():
        assert await (await total.submit(5)).result() == 20


async def test_results_keep_the_type_of_the_handler(app: TaskSystem) -> None:
    @app.task
    async def split(text: str) -> tuple[str, ...]:
        return tuple(text)

    async with app.running(), app.map(split, [{"text": "ab"}]) as results:
        assert [result async for result in results] == [("a", "b")]


@pytest.mark.parametrize("ordered", [True, False])
async def test_neither_many_payloads_nor_their_results_are_held(app: TaskSystem, ordered: bool) -> None:
    many = 2500
    read = started = taken = ahead = in_flight = 0

    @app.task
    async def count(number: int) -> int:
        nonlocal started
        started += 1
        return number

    def payloads() -> Iterator[Mapping[str, Any]]:
        nonlocal read, ahead
        for number in range(many):
            read += 1
            ahead = max(ahead, read - taken)
            yield {"number": number}

    async with app.running(), app.map(count, payloads(), ordered=ordered) as results:
        async for _ in results:
            taken += 1
            in_flight = max(in_flight, started - taken)
    assert (read, started, taken) == (many, many, many)
    assert in_flight <= 1000
    assert ahead <= 1000 + 2 * 100 + 2


async def test_what_cannot_be_mapped_is_refused_at_once(work: Work, app: TaskSystem) -> None:
    other = TaskSystem("sqlite:///:memory:")
    stranger = other.register_handler("double", work.double.__wrapped__)
    with pytest.raises(NotRunning):
        app.map(work.double, [])
    async with app.running():
        with refused(InvalidOption, "errors is 'ignore'; it should be 'raise' or 'yield'"):
            app.map(work.double, [], errors="ignore")  # type: ignore[call-overload]
        with refused(InvalidOption, "most_in_flight is 0"):
            app.map(work.double, [], most_in_flight=0)
        with refused(InvalidOption, "chunk is 0"):
            app.map(work.double, [], chunk=0)
        with refused(InvalidOption, "task 'double' is of another task system"):
            app.map(stranger, [])
        with refused(InvalidOption, "map got 'double' and 5; it takes a declared task and an iterable"):
            app.map("double", 5)  # type: ignore[call-overload]

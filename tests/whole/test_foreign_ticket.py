"""A ticket in another process than the one that works: it waits, looks, cancels and watches all the same.

The client declares nothing, so that all it knows of a task is what is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from actors import Settings, TaskEvent, TaskEventType, TaskStatus, TaskSystem, errors
from tests.whole.process import Program
from tests.whole.table import File

S, E = TaskStatus, TaskEventType


@pytest.fixture
async def client(worker: Program, file: File) -> AsyncIterator[TaskSystem]:
    app = TaskSystem(file.url, settings=Settings(lease_seconds=1))
    with trio.fail_after(60):
        async with app.running(work=False):
            yield app


async def submitted(worker: Program, order: str) -> str:
    """The id of a task that the worker submits to itself."""
    worker.tell(order)
    (task_id,) = await trio.to_thread.run_sync(worker.line, "submitted")
    return task_id


async def until_end(receive: trio.MemoryReceiveChannel[TaskEvent]) -> list[TaskEvent]:
    found = []
    async for event in receive:
        found.append(event)
        if event.type in (E.COMPLETED, E.FAILED, E.CANCELLED, E.TIMED_OUT):
            break
    return found


async def test_its_result_is_waited_for_and_its_state_is_seen(client: TaskSystem, worker: Program) -> None:
    ticket = client.ticket(await submitted(worker, "submit 21"))
    assert await ticket.result() == 42
    assert await ticket.status() is S.COMPLETED
    assert (await ticket.wait()).attempt == 1
    slow = client.ticket(await submitted(worker, "endless"))
    with trio.move_on_after(0.5) as waiting:
        await slow.wait()
    assert waiting.cancelled_caught
    assert await slow.status() is S.RUNNING


async def test_an_error_is_raised_with_what_was_stored_of_it(client: TaskSystem, worker: Program) -> None:
    ticket = client.ticket(await submitted(worker, "fail"))
    with pytest.raises(errors.TaskFailed) as caught:
        await ticket.result()
    info = caught.value.error_info
    assert info is not None
    assert (info.type, info.message) == ("LookupError", "no such page")
    assert "Traceback" in info.traceback


async def test_a_running_task_is_watched_from_start_to_end(client: TaskSystem, worker: Program) -> None:
    ticket = client.ticket(await submitted(worker, "steps 2"))
    async with ticket.events() as receive:
        assert await ticket.status() is S.PENDING
        told = await until_end(receive)
    kinds = [event.type for event in told]
    assert [kinds[0], *kinds[-1:]] == [E.STARTED, E.COMPLETED]
    assert set(kinds[1:-1]) == {E.PROGRESS}
    fractions = [event.data["fraction"] for event in told if event.type is E.PROGRESS]
    assert fractions == sorted(set(fractions))
    assert told[-1].data["result_data"] == "all steps"


async def test_a_cancel_is_heard_of_by_who_watches_and_raised_at_who_waits(client: TaskSystem, worker: Program) -> None:
    ticket = client.ticket(await submitted(worker, "endless"))
    await trio.to_thread.run_sync(worker.line, "started")
    async with ticket.events() as receive:
        assert await ticket.cancel()
        told = await until_end(receive)
    assert [event.type for event in told] == [E.CANCELLED]
    with pytest.raises(errors.TaskCancelled):
        await ticket.result()
    assert not await ticket.cancel()


async def test_a_revival_by_another_process_is_watched_to_its_new_end(client: TaskSystem, worker: Program) -> None:
    ticket = client.ticket(await submitted(worker, "fail"))
    await ticket.wait()
    async with ticket.events() as receive:
        await client.retry(ticket.task_id)
        told = await until_end(receive)
    assert told[0].type is E.SUBMITTED
    assert (told[-1].type, told[-1].attempt) == (E.FAILED, 2)
    assert (await ticket.wait()).attempt == 2


async def test_the_working_node_hears_of_what_another_process_does_to_its_tasks(
    client: TaskSystem, worker: Program
) -> None:
    task_id = await submitted(worker, "steps 3600")
    worker.tell(f"watch {task_id}")
    await trio.to_thread.run_sync(worker.line, "watching")
    assert await client.cancel(task_id)
    assert await trio.to_thread.run_sync(worker.line, "heard") == ["cancelled"]

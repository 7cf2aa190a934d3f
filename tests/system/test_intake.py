"""The channel that users hold: what comes is stored in batches, what cannot be taken is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import StorageUnavailable, UnknownTaskType
from actors.core.events import TaskEventType
from actors.core.request import NewTask, TaskRequest
from actors.kernel import ActorCrashed
from actors.system.intake import Intake
from actors.system.writes import Submit
from tests.system.world import World, alive


def prepare(world: World, request: TaskRequest) -> NewTask:
    """The row of *request*; only `work` is known."""
    if request.task_type != "work":
        raise UnknownTaskType.named(request.task_type, ["work"])
    return world.row()


def make(world: World, how: Callable[[TaskRequest], NewTask] | None = None) -> Intake:
    return Intake(how or partial(prepare, world), world.clock, world.subscribers, world.replies, world.storage.handle)


async def test_what_came_together_is_stored_together(autojump_clock: MockClock) -> None:
    world = World()
    async with alive("intake", lambda: make(world)) as intake:
        channel = intake.handle.channel()
        for _ in range(3):
            channel.send_nowait(TaskRequest("work"))
        submit = await world.storage.next()
        assert isinstance(submit, Submit)
        assert len(submit.rows) == 3
        submit.answer([])


async def test_intake_waits_for_storage_so_that_senders_wait_for_intake(autojump_clock: MockClock) -> None:
    world = World()
    async with alive("intake", lambda: make(world)) as intake:
        channel = intake.handle.channel()
        await channel.send(TaskRequest("work"))
        first = await world.storage.next()
        await channel.send(TaskRequest("work"))
        await wait_all_tasks_blocked()
        assert world.storage.take_all() == []
        first.answer([])
        (await world.storage.next()).answer([])


async def test_what_cannot_be_taken_is_told_as_rejected_and_the_rest_is_stored(autojump_clock: MockClock) -> None:
    world = World()
    with world.subscribers.subscribe() as events:
        async with alive("intake", lambda: make(world)) as intake:
            await intake.handle.tell(TaskRequest("wrok", task_id="x"))
            event = await events.receive()
            await intake.handle.tell(TaskRequest("work"))
            (await world.storage.next()).answer([])
    assert event.type is TaskEventType.REJECTED
    assert (event.task_id, event.task_type) == ("x", "wrok")
    assert event.data["error_type"] == "UnknownTaskType"
    assert "did you mean 'work'?" in event.data["error"]


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (TaskRequest("work", task_id="x"), ("x", "work")),
        (TaskRequest(["work"], task_id=5), ("", "")),  # type: ignore[arg-type]  # as careless callers do
        ("work", ("", "")),
        (None, ("", "")),
    ],
    ids=["a bug", "wrong types", "text", "nothing"],
)
async def test_a_request_on_which_anything_goes_wrong_is_rejected_alone(
    request_: Any, names: tuple[str, str], autojump_clock: MockClock
) -> None:
    def fail(request: object) -> NewTask:
        if request is request_:
            raise AttributeError("no such thing")
        return world.row()

    world = World()
    with world.subscribers.subscribe() as events, trio.fail_after(60):
        async with alive("intake", lambda: make(world, fail)) as intake:
            intake.handle.hint(request_)
            intake.handle.hint(TaskRequest("work"))
            (await world.storage.next()).answer([])
            assert intake.handle.statistics().received == 2
        rejected = events.receive_nowait()
    assert rejected.type is TaskEventType.REJECTED
    assert (rejected.task_id, rejected.task_type) == names
    assert rejected.data == {"error": "no such thing", "error_type": "AttributeError"}


async def test_an_error_that_has_no_words_rejects_its_request_alone(autojump_clock: MockClock) -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def fail(request: TaskRequest) -> NewTask:
        if request.task_type == "bad":
            raise Wordless
        return world.row()

    world = World()
    with world.subscribers.subscribe() as events, trio.fail_after(60):
        async with alive("intake", lambda: make(world, fail)) as intake:
            intake.handle.hint(TaskRequest("bad"))
            intake.handle.hint(TaskRequest("work"))
            (await world.storage.next()).answer([])
            assert intake.handle.statistics().received == 2
        rejected = events.receive_nowait()
    assert rejected.data["error_type"] == "Wordless"
    assert "ValueError" in rejected.data["error"]


@pytest.mark.parametrize("error", [StorageUnavailable("disk full"), ActorCrashed("twice"), OverflowError("too large")])
async def test_a_batch_that_storage_does_not_take_is_rejected_and_the_next_one_is_stored(
    error: Exception, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    with world.subscribers.subscribe() as events, trio.fail_after(60):
        async with alive("intake", lambda: make(world)) as intake:
            for _ in range(2):
                intake.handle.hint(TaskRequest("work"))
            submit = await world.storage.next()
            assert isinstance(submit, Submit)
            submit.fail(error)
            rejected = [await events.receive() for _ in range(2)]
            await intake.handle.tell(TaskRequest("work"))
            (await world.storage.next()).answer([])
            assert intake.handle.statistics().received == 3
    assert [event.task_id for event in rejected] == [row.task_id for row in submit.rows]
    assert {event.type for event in rejected} == {TaskEventType.REJECTED}
    assert {event.data["error"] for event in rejected} == {str(error)}
    assert [record.getMessage() for record in caplog.records] == [
        f"2 requests that came by channel are not stored: {error}"
    ]

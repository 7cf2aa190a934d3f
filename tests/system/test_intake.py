"""The channel that users hold: what comes is stored in batches, what cannot be taken is told."""

from __future__ import annotations

from functools import partial

from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import UnknownTaskType
from actors.core.events import TaskEventType
from actors.core.request import NewTask, TaskRequest
from actors.system.intake import Intake
from actors.system.messages import Submit
from tests.system.world import World, alive


def prepare(world: World, request: TaskRequest) -> NewTask:
    """The row of *request*; only `work` is known."""
    if request.task_type != "work":
        raise UnknownTaskType.named(request.task_type, ["work"])
    return world.row()


def make(world: World) -> Intake:
    return Intake(partial(prepare, world), world.clock, world.subscribers, world.storage.handle)


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

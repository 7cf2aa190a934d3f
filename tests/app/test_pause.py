"""Pausing and resuming."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors import Settings, TaskEventType, TaskStatus, TaskSystem
from actors.errors import InvalidOption, UnknownTaskType
from tests.app.world import HOUR, collect, refused
from tests.waiting import until


async def nap(seconds: float = 0) -> None:
    """A handler that takes its time."""
    await trio.sleep(seconds)


async def test_a_paused_lane_starts_nothing_until_it_is_resumed(app: TaskSystem, autojump_clock: MockClock) -> None:
    paused = app.register_handler("paused", nap, lane="single")
    other = app.register_handler("other", nap)
    async with app.running():
        await app.pause(lane="single")
        ticket = await paused.submit()
        await (await other.submit()).wait()
        await trio.sleep(HOUR)
        assert await ticket.status() is TaskStatus.PENDING
        assert await app.pauses() == {("lane", "single")}
        await app.resume(lane="single")
        assert await app.pauses() == frozenset()
        assert (await ticket.wait()).attempt == 1


async def test_a_paused_type_leaves_the_others_of_its_lane_alone(app: TaskSystem, autojump_clock: MockClock) -> None:
    paused, other = app.register_handler("paused", nap), app.register_handler("other", nap)
    async with app.running():
        await app.pause(task_type="paused")
        ticket = await paused.submit()
        await (await other.submit()).wait()
        await trio.sleep(HOUR)
        assert await ticket.status() is TaskStatus.PENDING
        await app.resume(task_type="paused")
        await ticket.result()


async def test_what_runs_goes_on(app: TaskSystem, autojump_clock: MockClock) -> None:
    slow = app.register_handler("slow", nap)
    async with app.running(), app.events() as events:
        ticket = await slow.submit(100)
        await collect(events, TaskEventType.STARTED)
        await app.pause(task_type="slow")
        assert (await ticket.wait()).status is TaskStatus.COMPLETED


async def test_a_pause_holds_as_soon_as_it_returns(app: TaskSystem, autojump_clock: MockClock) -> None:
    quick = app.register_handler("quick", nap)
    async with app.running():
        for _ in range(10):
            await app.pause(task_type="quick")
            ticket = await quick.submit()
            await trio.sleep(10)
            assert await ticket.status() is TaskStatus.PENDING
            await app.resume(task_type="quick")
            await ticket.wait()


async def test_lane_and_type_have_to_be_resumed_both(app: TaskSystem, autojump_clock: MockClock) -> None:
    twice = app.register_handler("twice", nap, lane="single")
    async with app.running():
        await app.pause(lane="single")
        await app.pause(task_type="twice")
        await app.pause(task_type="twice")
        ticket = await twice.submit()
        await app.resume(task_type="twice")
        await trio.sleep(HOUR)
        assert await ticket.status() is TaskStatus.PENDING
        await app.resume(lane="single")
        await ticket.result()


async def test_retries_and_due_tasks_wait_for_the_pause_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    later = app.register_handler("later", nap)
    async with app.running():
        ticket = await later.options(delay=60).submit()
        await app.pause(task_type="later")
        await trio.sleep(HOUR)
        assert await ticket.status() is TaskStatus.PENDING
        await app.resume(task_type="later")
        await ticket.result()


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({}, InvalidOption, ("lane=", "task_type=")),
        ({"lane": "single", "task_type": "nap"}, InvalidOption, ("lane=", "task_type=")),
        ({"lane": "singel"}, InvalidOption, ("'singel'", "did you mean 'single'?")),
        ({"task_type": "napp"}, UnknownTaskType, ("'napp'", "did you mean 'nap'?")),
    ],
)
async def test_only_what_is_there_can_be_paused(
    app: TaskSystem, given: dict[str, str], kind: type[InvalidOption], words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    app.task(nap)
    async with app.running():
        with refused(kind, *words):
            await app.pause(**given)
        with refused(kind, *words):
            await app.resume(**given)


async def test_a_pause_outlives_the_process(file_url: str) -> None:
    first = TaskSystem(file_url)
    paused, other = first.register_handler("paused", nap), first.register_handler("other", nap)
    async with first.running():
        await first.pause(task_type="paused")
    async with first.running():
        ticket = await paused.submit()
        await (await other.submit()).wait()
        assert await ticket.status() is TaskStatus.PENDING
        await first.resume(task_type="paused")
        with trio.fail_after(5):
            await ticket.result()


async def test_a_node_without_declarations_steers_what_it_does_not_know(settings: Settings, file_url: str) -> None:
    worker, clerk = TaskSystem(file_url, settings=settings), TaskSystem(file_url, settings=settings)
    declared = worker.register_handler("worker's own", nap, lane="double")
    async with worker.running(), clerk.running(work=False):
        await clerk.pause(task_type="worker's own")
        await clerk.pause(lane="double")
        await until(lambda: len(worker.running_node.running.paused) == 2)
        ticket = await declared.submit()
        waiting = await clerk.list(task_type="worker's own", lane="double", status=TaskStatus.PENDING)
        assert [task.task_id for task in waiting] == [ticket.task_id]
        assert await clerk.count(task_type="worker's own") == 1
        await clerk.resume(task_type="worker's own")
        await clerk.resume(lane="double")
        with trio.fail_after(5):
            await ticket.result()
            cancelled = await declared.submit(seconds=HOUR)
            assert await clerk.cancel(cancelled.task_id)
            assert (await clerk.ticket(cancelled.task_id).wait()).status is TaskStatus.CANCELLED


async def test_what_was_paused_can_be_resumed_though_nobody_declares_it_any_more(file_url: str) -> None:
    clerk, after = TaskSystem(file_url), TaskSystem(file_url)
    after.task(nap)
    async with clerk.running(work=False):
        await clerk.pause(task_type="retired")
        await clerk.pause(lane="attic")
    async with after.running(work=False):
        await after.resume(task_type="retired")
        await after.resume(lane="attic")
        with refused(UnknownTaskType, "'retired'"):
            await after.resume(task_type="retired")
        with refused(InvalidOption, "'attic'"):
            await after.resume(lane="attic")


async def test_a_name_that_can_be_none_is_refused_by_everyone(app: TaskSystem, autojump_clock: MockClock) -> None:
    async with app.running():
        for name in ("", "x" * 201, "a\nb", 5):
            with refused(InvalidOption, "task_type", "1 to 200 printable"):
                await app.pause(task_type=name)  # type: ignore[arg-type]
            with refused(InvalidOption, "lane", "1 to 200 printable"):
                await app.pause(lane=name)  # type: ignore[arg-type]
        with refused(InvalidOption, "lane", "1 to 200 printable"):
            await app.resume(lane=["single"])  # type: ignore[arg-type]

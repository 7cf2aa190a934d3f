"""Who waits for the end of which task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import NotRunning, TaskNotFound
from actors.core.lifecycle import Transition
from actors.core.request import Claimed
from actors.core.task import moment
from actors.kernel import Ask, Child
from actors.kernel.ask import Reply
from actors.store.claim import Room
from actors.store.connection import Connection
from actors.store.views import Ended
from actors.system.messages import Claim, LookAgain, LookOutside, LookUp
from actors.system.waiters import LONGEST_REMEMBERED, LOOKED_UP_AT_ONCE, REMEMBERED, Waiters
from actors.system.writes import Cancel, Promote, Revive, Settle, Submit
from tests.system.world import MemoryDatabase, World, alive


class CountedDatabase(MemoryDatabase):
    """Counts the reads, and can make them fail, or their answers come late."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.fault: Exception | None = None
        self.late: list[Callable[[], None]] | None = None

    def read(self, ask: Ask[Any], query: Callable[[Connection], Any]) -> None:
        self.reads += 1
        if self.fault is not None:
            ask.fail(self.fault)
        elif self.late is None:
            super().read(ask, query)
        else:
            self.late.append(partial(ask.answer, self.look(query)))


class Wait:
    """Someone who waits for a task, in a trio task of their own."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.scope = trio.CancelScope()
        self.reply: Reply[Ended] = Reply()

    async def run(self, waiters: Waiters, look: Callable[[], object]) -> None:
        with self.scope:
            try:
                self.reply.settle(await waiters.wait(self.task_id, look), None)
            except (TaskNotFound, NotRunning) as error:
                self.reply.settle(None, error)


class Desk:
    """A Storage with an order that is always open, and those who wait."""

    nursery: trio.Nursery
    storage: Child[Any]

    def __init__(self) -> None:
        self.world = World()
        self.database = CountedDatabase()
        self.waiters = Waiters()
        self.brought: list[Claimed] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Child[Any]]:
        """Run Storage while the block runs; those who still wait then hear of its stop."""
        create = self.world.make_storage(self.database, self.waiters)
        async with trio.open_nursery() as self.nursery, alive("storage", create) as self.storage:
            yield self.storage

    async def waiting(self, *task_ids: str) -> list[Wait]:
        """Those who wait for tasks, after Storage has heard of them."""
        waits = [Wait(task_id) for task_id in task_ids]
        for wait in waits:
            self.nursery.start_soon(wait.run, self.waiters, lambda: self.storage.handle.hint(LookUp()))
        await wait_all_tasks_blocked()
        return waits

    async def run(self, storage: Child[Any], count: int = 1) -> list[Claimed]:
        """Submit tasks that are claimed at once."""
        await storage.handle.tell(Claim(self.world.running.rooms, self.brought.extend))
        before = len(self.brought)
        await storage.handle.ask(Submit([self.world.row() for _ in range(count)]))
        return self.brought[before:]

    async def put_off(self, storage: Child[Any], count: int = 1) -> list[str]:
        """Submit tasks for later; their ids."""
        rows = [self.world.row(delay=60) for _ in range(count)]
        await storage.handle.ask(Submit(rows))
        return [row.task_id for row in rows]

    async def end(self, storage: Child[Any], task: Claimed, result: str = '"done"') -> None:
        """Store that *task* has finished."""
        self.world.running.release(task)
        await storage.handle.ask(Settle([self.world.finished(task, result)]))


async def test_an_end_is_told_at_its_commit_to_all_who_wait(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        first, second = await desk.waiting(task.task_id, task.task_id)
        assert desk.database.reads == 0
        await desk.end(storage, task)
        expected = Ended(task.task_id, "work", "completed", 1, '"done"', None)
        assert await first.reply.wait() == await second.reply.wait() == expected


async def test_a_recent_end_is_remembered_without_a_query(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        await desk.end(storage, task)
        (wait,) = await desk.waiting(task.task_id)
        assert wait.reply.result().status == "completed"
    assert desk.database.reads == 0


async def test_a_revived_task_has_not_ended_whatever_is_remembered_of_its_end(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        await desk.end(storage, task, '"old"')
        await storage.handle.ask(Revive([task.task_id], 1))
        (wait,) = await desk.waiting(task.task_id)
        assert not wait.reply.done
        await desk.end(storage, desk.brought[-1], '"new"')
        assert (await wait.reply.wait()).result == '"new"'


async def test_an_end_that_was_read_before_a_revival_is_not_told_to_who_comes_after_it(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    desk.database.late = []
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        await desk.end(storage, task, '"old"')
        await storage.handle.tell(LookOutside())  # so that nothing is remembered
        await wait_all_tasks_blocked()
        (before,) = await desk.waiting(task.task_id)
        await storage.handle.ask(Revive([task.task_id], 1))
        (after,) = await desk.waiting(task.task_id)
        desk.database.late[0]()
        assert (await before.reply.wait()).result == '"old"'
        await wait_all_tasks_blocked()
        assert not after.reply.done
        await desk.end(storage, desk.brought[-1], '"new"')
        assert (await after.reply.wait()).result == '"new"'


async def test_an_end_that_another_process_may_have_undone_is_read_again(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        await desk.end(storage, task)
        revive = "UPDATE actors_task SET status = 'pending', completed_at = NULL"
        await desk.database.write(lambda connection: connection.exec_driver_sql(revive))
        await storage.handle.tell(LookOutside())
        await wait_all_tasks_blocked()
        (wait,) = await desk.waiting(task.task_id)
        assert not wait.reply.done


async def test_a_large_result_is_told_but_not_remembered(autojump_clock: MockClock) -> None:
    desk, large = Desk(), '"' + "x" * LONGEST_REMEMBERED + '"'
    async with desk.open() as storage:
        first, second = await desk.run(storage, 2)
        (wait,) = await desk.waiting(first.task_id)
        for task in (first, second):
            await desk.end(storage, task, large)
        assert wait.reply.result().result == large
        again = await desk.waiting(first.task_id, second.task_id)
        assert [one.reply.result().result for one in again] == [large, large]
    assert desk.database.reads == 1


async def test_memory_is_bounded_and_the_oldest_end_goes_first(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        tasks = []
        for _ in range(REMEMBERED + 1):
            (task,) = await desk.run(storage)
            await desk.end(storage, task)
            tasks.append(task)
        await desk.waiting(tasks[1].task_id)
        assert desk.database.reads == 0
        (forgotten,) = await desk.waiting(tasks[0].task_id)
        assert desk.database.reads == 1
        assert forgotten.reply.result().status == "completed"


async def test_unknown_ends_are_looked_up_all_at_once(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        *known, unknown = await desk.waiting(*await desk.put_off(storage, 3), "nowhere")
        assert desk.database.reads == 1
        assert [wait.reply.done for wait in known] == [False] * 3
        with pytest.raises(TaskNotFound):
            unknown.reply.result()


@pytest.mark.parametrize("late", [True, False], ids=["reader", "inline"])
async def test_many_are_looked_up_in_parts_one_query_at_a_time(late: bool, autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        waits = await desk.waiting(*await desk.put_off(storage, 2 * LOOKED_UP_AT_ONCE + 1))
        desk.database.late = [] if late else None
        mark = "UPDATE actors_task SET status = 'cancelled', completed_at = 1"
        await desk.database.write(lambda connection: connection.exec_driver_sql(mark))
        before = desk.database.reads
        for _ in range(5):
            await storage.handle.tell(LookOutside())
            await wait_all_tasks_blocked()
        if desk.database.late is not None:
            assert desk.database.reads == before + 1
            for deliver in desk.database.late:  # each brings the next one
                deliver()
        await wait_all_tasks_blocked()
        assert {wait.reply.result().status for wait in waits} == {"cancelled"}
        assert desk.database.reads == before + 3


async def test_an_end_that_was_looked_up_is_not_looked_up_again(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        await desk.end(storage, task)
        await storage.handle.tell(LookOutside())  # so that nothing is remembered
        await wait_all_tasks_blocked()
        ended, unknown = Ask[Ended](), Ask[Ended]()
        desk.waiters.add(task.task_id, ended, lambda: None)
        desk.waiters.add("nowhere", unknown, lambda: None)
        for _ in range(2):
            await storage.handle.tell(LookOutside())
            await wait_all_tasks_blocked()
        assert ended.reply.result().status == "completed"
        assert unknown.answered
    assert desk.database.reads == 1


async def test_a_look_up_that_fails_is_made_again(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        desk.database.fault = ConnectionError("lost")
        (wait,) = await desk.waiting("nowhere")
        assert not wait.reply.done
        desk.database.fault = None
        await storage.handle.tell(LookOutside())
        with pytest.raises(TaskNotFound):
            await wait.reply.wait()


async def test_ends_that_others_wrote_are_found(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (wait,) = await desk.waiting(*await desk.put_off(storage))
        mark = "UPDATE actors_task SET status = 'cancelled', completed_at = 1"
        await desk.database.write(lambda connection: connection.exec_driver_sql(mark))
        await storage.handle.tell(LookOutside())
        assert (await wait.reply.wait()).status == "cancelled"


async def test_those_who_no_longer_wait_are_forgotten(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        stays, gone = await desk.waiting(task.task_id, task.task_id)
        gone.scope.cancel()
        await wait_all_tasks_blocked()
        await desk.end(storage, task)
        assert (await stays.reply.wait()).status == "completed"
        assert not gone.reply.done


async def test_who_leaves_before_the_look_up_costs_no_query(autojump_clock: MockClock) -> None:
    desk, looks = Desk(), list[str]()
    async with desk.open() as storage:
        with trio.move_on_after(1):
            await desk.waiters.wait("nowhere", lambda: looks.append("look"))
        await storage.handle.tell(LookUp())
        await wait_all_tasks_blocked()
    assert looks == ["look"]
    assert desk.database.reads == 0


async def test_a_wait_outlives_a_crash_of_storage(autojump_clock: MockClock) -> None:
    def fail() -> Sequence[Room]:
        raise KeyError("no room")

    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        running, unknown = await desk.waiting(task.task_id, "nowhere")
        (later,) = await desk.waiting(*await desk.put_off(storage))
        with pytest.raises(TaskNotFound):
            unknown.reply.result()
        assert storage.handle.hint(LookAgain())
        assert storage.handle.hint(Claim(fail, desk.brought.extend))  # crashes it
        await trio.sleep(10)
        assert storage.handle.statistics().dead_letters == 1
        await storage.handle.ask(Cancel([later.task_id]))
        await desk.end(storage, task)
        assert (await running.reply.wait()).status == "completed"
        assert (await later.reply.wait()).status == "cancelled"


async def test_a_stop_tells_those_who_wait_then_and_later(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        first, second = await desk.run(storage, 2)
        await desk.end(storage, first)
        (wait,) = await desk.waiting(second.task_id)
    for task_id in (second.task_id, "nowhere"):
        with pytest.raises(NotRunning, match="the task goes on when it runs again"):
            await desk.waiters.wait(task_id, lambda: pytest.fail("nobody looks any more"))
    with pytest.raises(NotRunning, match="the task goes on when it runs again"):
        wait.reply.result()
    assert (await desk.waiters.wait(first.task_id, lambda: None)).status == "completed"  # as it is remembered


async def test_cancels_and_expiries_are_ends(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        cancelled = desk.world.row(delay=60)
        expiring = desk.world.row(delay=60, expires_at=later(desk, 5))
        await storage.handle.ask(Submit([cancelled, expiring]))
        waits = await desk.waiting(cancelled.task_id, expiring.task_id)
        await storage.handle.ask(Cancel([cancelled.task_id]))
        await trio.sleep(6)
        await storage.handle.ask(Promote())
        await wait_all_tasks_blocked()
        assert [wait.reply.result().status for wait in waits] == ["cancelled", "timeout"]
        assert "xpired" in str(waits[1].reply.result().error)


async def test_an_attempt_that_will_be_retried_is_no_end(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        (wait,) = await desk.waiting(task.task_id)
        again = attrs.evolve(
            desk.world.finished(task), transition=Transition.RETRY, result=None, due_at=desk.world.clock.wall() + 9
        )
        await storage.handle.ask(Settle([again]))
        assert not wait.reply.done


async def test_a_fenced_outcome_is_no_end(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        (wait,) = await desk.waiting(task.task_id)
        await storage.handle.ask(Settle([attrs.evolve(desk.world.finished(task), attempt=7)]))
        assert not wait.reply.done


async def test_who_comes_after_another_node_has_ended_a_task_hears_of_it_when_the_outcome_of_this_one_is_fenced(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    async with desk.open() as storage:
        (task,) = await desk.run(storage)
        mark = "UPDATE actors_task SET status = 'completed', attempt = 2, completed_at = 1"
        await desk.database.write(lambda connection: connection.exec_driver_sql(mark))
        await storage.handle.tell(LookOutside())
        await trio.testing.wait_all_tasks_blocked()
        (wait,) = await desk.waiting(task.task_id)  # as far as is known here, it is this node's own
        assert not wait.reply.done
        await storage.handle.ask(Settle([desk.world.finished(task)]))
        assert (await wait.reply.wait()).attempt == 2


def later(desk: Desk, seconds: float) -> Any:
    """A moment to come."""
    return moment(desk.world.clock.wall() + seconds)

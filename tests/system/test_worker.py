"""Starting attempts, seeing their outcomes stored, and draining."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import TaskContext
from actors.core.lifecycle import Transition
from actors.core.stop import StopReason
from actors.execution.handler import Handler
from actors.kernel import Child, supervise
from actors.system.messages import Failed, LookAgain, Run, Stuck
from actors.system.recorder import Recorder
from actors.system.running import LAST_WAIT
from actors.system.worker import REPEAT_AFTER, Outbox, Tools, Worker
from actors.system.writes import SetProgress, Settle
from tests.execution.world import handler
from tests.system.world import PATIENT, World, answer_all, rest


class Shop:
    """A world with the Worker of one lane."""

    def __init__(self, *handlers: Handler, lane: str = "coroutine") -> None:
        self.world = World(*handlers)
        self.lane = self.world.running.lanes[lane]
        self.outbox = Outbox()
        self.told: list[Any] = []

    @asynccontextmanager
    async def open(self, grace: float = 0.0, answering_after: float = 0.0) -> AsyncIterator[Child[Any]]:
        """Run the Worker; leaving drains it with so much *grace*, in seconds, and a Storage that answers then."""
        world = self.world
        tools = Tools(
            clock=world.clock, running=world.running, board=world.board, surroundings=world.surroundings,
            storage=world.storage.handle, retry=world.retry.handle, monitor=world.monitor.handle,
        )  # fmt: skip
        worker: Child[Any] = Child(
            "worker", lambda: Worker(self.lane, self.outbox, tools, worker.handle), stop_within=grace + 9
        )
        async with trio.open_nursery() as nursery:
            async with supervise([worker], limits=PATIENT):
                try:
                    yield worker
                finally:
                    world.running.begin_stop(trio.current_time() + grace)
                    nursery.start_soon(answer_all, world.storage, self.told, answering_after)
            nursery.cancel_scope.cancel()

    def take(self, *seqs: int, **values: Any) -> Run:
        """The order to start newly claimed tasks."""
        return Run([self.world.take(seq, **values) for seq in seqs])

    def store(self) -> list[tuple[int, Transition]]:
        """Take what was sent to Storage and confirm it; (seq, transition) of each outcome."""
        changes = [change for message in self.sent(Settle) for change in message.changes]
        for change in changes:
            self.world.running.settle(change.seq, change.attempt)
        return [(change.seq, change.transition) for change in changes]

    def sent(self, kind: type[Any]) -> list[Any]:
        """The messages of *kind* among those that Storage got."""
        told = [*self.told, *self.world.storage.take_all()]
        self.told.clear()
        return [message for message in told if isinstance(message, kind)]


class Work:
    """A handler that counts its starts, and ends when it is let go."""

    def __init__(self, fail: bool = False) -> None:
        self.starts: list[str] = []
        self.go = trio.Event()
        self.fail = fail

    async def run(self, ctx: TaskContext) -> str:
        self.starts.append(ctx.task_id)
        ctx.progress(0.5, "half")
        await self.go.wait()
        if self.fail:
            raise ValueError
        return "done"


async def test_no_attempt_is_started_twice(autojump_clock: MockClock) -> None:
    work = Work()
    shop = Shop(handler(work.run))
    order = shop.take(1, 2)
    async with shop.open() as worker:
        for _ in range(2):
            await worker.handle.tell(order)
            await wait_all_tasks_blocked()
        assert len(work.starts) == 2
        work.go.set()
        await wait_all_tasks_blocked()
        await worker.handle.tell(order)  # ended, but not confirmed
        await wait_all_tasks_blocked()
        assert sorted(shop.store()) == [(1, Transition.COMPLETE), (2, Transition.COMPLETE)]
        await worker.handle.tell(order)  # confirmed
        await wait_all_tasks_blocked()
    assert len(work.starts) == 2


async def test_an_order_for_what_is_no_longer_leased_is_left_alone(autojump_clock: MockClock) -> None:
    work = Work()
    shop = Shop(handler(work.run))
    order = shop.take(1)
    shop.world.running.leased[1] = 2
    async with shop.open() as worker:
        await worker.handle.tell(order)
        await wait_all_tasks_blocked()
    assert work.starts == []


async def test_the_next_attempt_of_a_task_starts_though_the_last_one_is_unconfirmed(autojump_clock: MockClock) -> None:
    work = Work()
    work.go.set()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        for attempt in (1, 2):
            await worker.handle.tell(shop.take(1, attempt=attempt))
            await wait_all_tasks_blocked()
        shop.store()
    assert len(work.starts) == 2


async def test_the_deadline_that_a_handler_sees_is_the_one_that_counts(autojump_clock: MockClock) -> None:
    shop = Shop(handler(rest))
    async with shop.open() as worker:
        order = shop.take(1, timeout_seconds=10.0, started_at=shop.world.clock.wall())
        await trio.sleep(3)  # between its claim and its start
        await worker.handle.tell(order)
        await wait_all_tasks_blocked()
        (attempt,) = shop.lane.running.values()
        assert attempt.context.deadline is not None
        seen = shop.world.clock.until(attempt.context.deadline.timestamp())
        assert seen == pytest.approx(shop.world.running.deadlines.next(), abs=0.001)


async def test_the_last_words_of_an_attempt_come_before_its_outcome(autojump_clock: MockClock) -> None:
    work = Work()
    work.go.set()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        words, settle = shop.world.storage.take_all()
        assert isinstance(words, SetProgress)
        assert "half" in words.words[0].text
        assert isinstance(settle, Settle)
        shop.world.running.leased.clear()


async def test_failures_go_through_retry(autojump_clock: MockClock) -> None:
    work = Work(fail=True)
    work.go.set()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1))
        failed = await shop.world.retry.next()
        assert isinstance(failed, Failed)
        assert [attempt.task.seq for attempt, _ in failed.attempts] == [1]
        assert shop.sent(Settle) == []
        shop.world.running.leased.clear()


async def test_an_outcome_that_is_not_confirmed_is_sent_again_after_five_seconds(autojump_clock: MockClock) -> None:
    work = Work()
    work.go.set()
    shop = Shop(handler(work.run))
    times: list[float] = []
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1))
        while len(times) < 3:
            message = await shop.world.storage.next()
            if isinstance(message, Settle):
                times.append(trio.current_time())
        shop.world.running.leased.clear()
        with trio.move_on_after(60):
            await shop.world.storage.next()
            raise AssertionError("it was confirmed")
    assert [later - times[0] for later in times] == pytest.approx([0, REPEAT_AFTER, 2 * REPEAT_AFTER])


async def test_the_outbox_outlives_a_crash_of_the_worker(autojump_clock: MockClock) -> None:
    work = Work()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        work.go.set()
        await worker.handle.tell(Run(None))  # type: ignore[arg-type]  # crashes it
        await trio.sleep(1)
        assert worker.handle.statistics().dead_letters == 1
        assert shop.store() == [(1, Transition.COMPLETE)]
        assert shop.lane.free() == 4


async def test_what_was_cancelled_on_its_way_does_not_begin(autojump_clock: MockClock) -> None:
    work = Work()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        order = shop.take(1)
        shop.world.running.cancelled.add(1)
        await worker.handle.tell(order)
        await wait_all_tasks_blocked()
        assert shop.store() == [(1, Transition.CANCEL)]
    assert work.starts == []
    assert shop.lane.free() == 4


async def test_a_drain_waits_for_what_ends_within_the_grace_time(autojump_clock: MockClock) -> None:
    async def nap() -> None:
        await trio.sleep(5)

    shop = Shop(handler(nap))
    async with shop.open(grace=30.0) as worker:
        await worker.handle.tell(shop.take(1, 2))
        await wait_all_tasks_blocked()
        begun = trio.current_time()
    assert sorted(shop.store()) == [(1, Transition.COMPLETE), (2, Transition.COMPLETE)]
    assert trio.current_time() - begun == pytest.approx(5)


async def test_a_drain_forces_what_runs_on_after_the_grace_time(autojump_clock: MockClock) -> None:
    shop = Shop(handler(rest))
    async with shop.open(grace=30.0) as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        begun = trio.current_time()
    assert shop.store() == [(1, Transition.GIVE_BACK)]
    assert trio.current_time() - begun == pytest.approx(30)


async def test_a_drain_sees_what_ends_while_it_sends(autojump_clock: MockClock) -> None:
    async def nap(ctx: TaskContext) -> None:
        await trio.sleep(5 if ctx.task_id == first.task_id else 6)

    shop = Shop(handler(nap))
    (first, second) = shop.take(1, 2).tasks
    async with shop.open(grace=30.0, answering_after=10.0) as worker:
        await worker.handle.tell(Run([first, second]))
        await wait_all_tasks_blocked()
        while shop.world.storage.handle.hint(LookAgain()):
            pass  # Storage is full, so that the first outcome is still on its way when the second one comes
        begun = trio.current_time()
    assert sorted(shop.store()) == [(1, Transition.COMPLETE), (2, Transition.COMPLETE)]
    assert trio.current_time() - begun == pytest.approx(10)


async def test_a_hurry_cuts_the_grace_time_short(autojump_clock: MockClock) -> None:
    shop = Shop(handler(rest))
    async with shop.open(grace=3000.0) as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        shop.world.running.hurry.set()
    assert shop.store() == [(1, Transition.GIVE_BACK)]
    assert trio.current_time() == begun


async def test_a_drain_leaves_behind_what_does_not_stop(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def deaf() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    shop = Shop(handler(deaf))
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        begun = trio.current_time()
    assert trio.current_time() - begun == pytest.approx(LAST_WAIT)
    assert shop.store() == [(1, Transition.GIVE_BACK)]
    assert (len(shop.lane.stuck), shop.lane.free()) == (1, 4)
    assert "runs on though it was stopped" in caplog.text


async def test_what_comes_during_a_stop_is_returned_unstarted(autojump_clock: MockClock) -> None:
    work = Work()
    shop = Shop(handler(work.run))
    async with shop.open() as worker:
        shop.world.running.begin_stop(trio.current_time())
        await worker.handle.tell(shop.take(1))
    assert shop.store() == [(1, Transition.GIVE_BACK)]
    assert work.starts == []
    assert shop.lane.free() == 4


async def test_a_thread_that_is_left_behind_is_told_as_stuck_and_frees_its_slot() -> None:
    def deaf() -> None:
        trio.from_thread.run_sync(begun.set)
        go.wait(10)

    begun, go, ended = trio.Event(), threading.Event(), trio.Event()
    shop = Shop(handler(deaf), lane="thread")
    shop.world.running.look_for_room = ended.set
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1, lane="thread"))
        await begun.wait()
        (attempt,) = shop.lane.running.values()
        attempt.force(StopReason.CANCEL)
        assert await shop.world.monitor.next() == Stuck(attempt)
        assert shop.store() == [(1, Transition.CANCEL)]
        assert (shop.lane.free(), shop.lane.stuck) == (2, {attempt})
        go.set()
        await ended.wait()
    assert shop.lane.stuck == set()


async def test_a_thread_that_is_left_behind_stays_recorded_until_it_ends(tmp_path: Path) -> None:
    def deaf() -> None:
        trio.from_thread.run_sync(begun.set)
        go.wait(10)

    begun, go, ended = trio.Event(), threading.Event(), trio.Event()
    shop, path = Shop(handler(deaf), lane="thread"), str(tmp_path / "running")
    shop.world.running.recorder = Recorder(path)
    shop.world.running.recorder.begin()
    shop.world.running.look_for_room = ended.set
    async with shop.open() as worker:
        await worker.handle.tell(shop.take(1, lane="thread"))
        await begun.wait()
        (attempt,) = shop.lane.running.values()
        attempt.force(StopReason.CANCEL)
        assert await shop.world.monitor.next() == Stuck(attempt)
        shop.store()
        assert Recorder(path).before == {(1, 1)}
        go.set()
        await ended.wait()
    assert Recorder(path).before == frozenset()


async def test_a_lane_that_is_done_leaves_the_others_their_grace_time(autojump_clock: MockClock) -> None:
    shop, other = Shop(handler(rest)), World().running.lanes["coroutine"]
    shop.world.running.lanes["other"] = other
    attempt = shop.world.attempt(7)
    other.running[7] = shop.lane.running.pop(7)
    async with shop.open(grace=30.0):
        await wait_all_tasks_blocked()
    assert attempt.stopping is StopReason.SHUTDOWN
    assert not attempt.over
    assert shop.world.running.begin_hard_stop() == trio.current_time() + LAST_WAIT  # only now
    shop.world.running.leased.clear()


async def test_a_drain_without_a_storage_ends_all_the_same(autojump_clock: MockClock) -> None:
    shop = Shop(handler(rest))
    async with shop.open(grace=30.0, answering_after=math.inf) as worker:
        await worker.handle.tell(shop.take(1))
        await wait_all_tasks_blocked()
        shop.world.storage.stop()
    assert worker.dead_letters == ()
    assert shop.lane.running == {}

"""Progress, cleanup, events and figures."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import StorageUnavailable
from actors.core.events import TaskEventType
from actors.core.retention import DAY, Retention
from actors.core.task import Progress
from actors.system.housekeeping import Cleanup, Fold, Lead, RemoveResults
from actors.system.messages import Committed, LookAtProgress, SoftTimedOut, Stuck
from actors.system.monitor import CLEAN_BATCH, CLEAN_EVERY, CLEAN_FIRST_AFTER, Monitor
from actors.system.transaction import Transaction
from actors.system.writes import SetProgress
from tests.system.world import AGING, World, alive


def make(world: World) -> Monitor:
    retention = Retention(7 * DAY, 30 * DAY, DAY)
    return Monitor(
        world.clock, world.subscribers, world.replies, world.board, retention, world.storage.handle,
        world.monitor.handle,
    )  # fmt: skip


async def tell(world: World, monitor: object) -> None:
    """Pass on what the Monitor was hinted at: the probe stands in its place."""
    for message in world.monitor.take_all():
        await monitor.handle.tell(message)  # type: ignore[attr-defined]  # a Child


async def test_progress_is_stored_at_most_five_times_a_second(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt()
    stored: list[tuple[float, str]] = []
    async with alive("monitor", lambda: make(world)) as monitor:
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        for step in range(100):
            attempt.context.progress(step / 100, f"step {step}")
            await tell(world, monitor)
            await trio.sleep(0.01)
            for message in world.storage.take_all():
                assert isinstance(message, SetProgress)
                stored += [(trio.current_time(), word.text) for word in message.words]
    last = [message.words[0].text for message in world.storage.take_all() if isinstance(message, SetProgress)]
    assert 4 <= len(stored) <= 1 + (trio.current_time() - begun) / 0.2
    assert "step 99" in (last or [stored[-1][1]])[-1]


async def test_what_was_said_before_a_restart_is_stored_after_it(autojump_clock: MockClock) -> None:
    world = World()
    world.attempt().context.progress(0.5)
    async with alive("monitor", lambda: make(world)):
        message = await world.storage.next()
    assert isinstance(message, SetProgress)


async def test_progress_is_stored_though_the_hint_of_it_was_dropped(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt()
    async with alive("monitor", lambda: make(world)) as monitor:
        await wait_all_tasks_blocked()
        attempt.context.progress(0.5)
        assert world.monitor.take_all() == [LookAtProgress()]
        await monitor.handle.tell(SoftTimedOut(attempt))  # what the full mailbox was full of
        message = await world.storage.next()
    assert isinstance(message, SetProgress)


async def test_a_stop_stores_the_last_words(autojump_clock: MockClock) -> None:
    world = World()
    async with alive("monitor", lambda: make(world)):
        await wait_all_tasks_blocked()
        world.storage.take_all()
        world.board.report(world.attempt(), Progress(1.0))
    assert [type(message) for message in world.storage.take_all()] == [SetProgress]


async def led(world: World, answer: int) -> object:
    """The next work that the Monitor wants to lead; it is answered."""
    message = await world.storage.next()
    assert isinstance(message, Lead)
    message.answer(answer)
    return message.work


async def test_old_tasks_go_in_batches_until_there_are_no_more(autojump_clock: MockClock) -> None:
    world = World()
    cleanups: list[float] = []
    async with alive("monitor", lambda: make(world)):
        begun = trio.current_time()
        for removed in (CLEAN_BATCH, CLEAN_BATCH, 3, 0):
            cleanup = await led(world, removed)
            cleanups.append(trio.current_time() - begun)
            assert isinstance(cleanup, Cleanup)
            assert cleanup.failed_before == pytest.approx(cleanup.completed_before - 23 * DAY)
            results = await led(world, 0)
            assert isinstance(results, RemoveResults)
            assert results.completed_before == pytest.approx(cleanup.completed_before + 6 * DAY)
            assert isinstance(await led(world, 0), Fold)
    first = CLEAN_FIRST_AFTER
    assert cleanups == pytest.approx([first, first, first, first + CLEAN_EVERY], abs=0.1)


async def test_large_results_go_in_batches_until_there_are_no_more(autojump_clock: MockClock) -> None:
    world = World()
    looked: list[float] = []
    async with alive("monitor", lambda: make(world)):
        for shortened in (50, 7, 0, 0):
            (await world.storage.next()).answer(0)
            (await world.storage.next()).answer(shortened)
            (await world.storage.next()).answer(0)
            looked.append(trio.current_time())
    assert [later - looked[0] for later in looked] == pytest.approx([0, 0, 0, CLEAN_EVERY], abs=0.1)


async def test_a_cleanup_that_fails_is_tried_again_in_an_hour(autojump_clock: MockClock) -> None:
    world = World()
    async with alive("monitor", lambda: make(world)) as monitor:
        (await world.storage.next()).fail(StorageUnavailable("disk full"))
        begun = trio.current_time()
        again = await world.storage.next()
        assert trio.current_time() - begun == pytest.approx(CLEAN_EVERY)
        again.answer(0)
        for _ in range(2):
            (await world.storage.next()).answer(0)
        assert monitor.handle.statistics().dead_letters == 0


async def test_what_a_transaction_did_is_told_to_those_who_listen(autojump_clock: MockClock) -> None:
    world = World()
    done = Transaction(world.database().look(lambda connection: connection), "node-1", world.clock.wall(), AGING)
    done.claimed = [world.take(1)]
    async with alive("monitor", lambda: make(world)) as monitor:
        await monitor.handle.tell(Committed(done))  # nobody listens
        await wait_all_tasks_blocked()
        with world.subscribers.subscribe() as events:
            await monitor.handle.tell(Committed(done))
            assert (await events.receive()).type is TaskEventType.STARTED
            assert events.statistics().current_buffer_used == 0


async def test_soft_time_outs_and_stuck_attempts_are_told(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt(attempt=4)
    with world.subscribers.subscribe() as events:
        async with alive("monitor", lambda: make(world)) as monitor:
            await monitor.handle.tell(SoftTimedOut(attempt))
            await monitor.handle.tell(Stuck(attempt))
            told = [await events.receive(), await events.receive()]
        with pytest.raises(trio.EndOfChannel):
            await events.receive()
    assert [event.type for event in told] == [TaskEventType.SOFT_TIMEOUT, TaskEventType.STUCK]
    assert {event.attempt for event in told} == {4}

"""Deadlines: soft, then hard, then stuck; and cancels."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.outcome import Cancelled, Finished, TimedOut
from actors.core.stop import StopReason
from actors.system.deadlines import SPARE, Deadlines, Stage
from actors.system.messages import CancelRunning, SoftTimedOut, Stuck
from actors.system.timeout import STUCK_AFTER, Timeout
from tests.system.world import World, alive

GRACE = 10.0


def make(world: World) -> Timeout:
    return Timeout(world.running, GRACE, world.monitor.handle, world.timeout.handle)


async def test_the_soft_stage_comes_before_the_hard_one_and_that_before_giving_up(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt(soft_timeout_seconds=2.0, timeout_seconds=5.0)
    world.running.deadlines.watch([attempt])
    async with alive("timeout", lambda: make(world)):
        soft = await world.monitor.next()
        assert soft == SoftTimedOut(attempt)
        assert trio.current_time() - attempt.started == pytest.approx(2)
        assert attempt.stopping is StopReason.SOFT_TIMEOUT
        stuck = await world.monitor.next()
        assert stuck == Stuck(attempt)
        assert trio.current_time() - attempt.started == pytest.approx(5 + STUCK_AFTER)
    ((_, outcome),) = world.running.lanes["coroutine"].outbox
    assert isinstance(outcome, TimedOut)
    assert outcome.info.message == "stopped at its time limit of 5 s"
    assert world.running.lanes["coroutine"].stuck == {attempt}


async def test_a_deadline_that_comes_before_the_one_waited_for_wakes_it(autojump_clock: MockClock) -> None:
    world = World()
    slow, quick = world.attempt(1, timeout_seconds=100.0), world.attempt(2, soft_timeout_seconds=1.0)
    world.running.deadlines.watch([slow])
    async with alive("timeout", lambda: make(world)) as timeout:
        await wait_all_tasks_blocked()
        world.running.deadlines.watch([quick])
        (look,) = world.timeout.take_all()
        await timeout.handle.tell(look)
        assert await world.monitor.next() == SoftTimedOut(quick)
        assert trio.current_time() - quick.started == pytest.approx(1)


async def test_an_attempt_that_ended_is_left_alone(autojump_clock: MockClock) -> None:
    world = World()
    ended, other = world.attempt(1, soft_timeout_seconds=1.0), world.attempt(2, soft_timeout_seconds=2.0)
    world.running.deadlines.watch([ended, other])
    world.running.end(ended, Finished("null"))
    async with alive("timeout", lambda: make(world)):
        assert await world.monitor.next() == SoftTimedOut(other)
    assert ended.stopping is None


async def test_the_limits_of_one_that_waits_behind_others_count_from_its_begin(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt(soft_timeout_seconds=2.0, timeout_seconds=5.0)
    attempt.waits = True
    world.running.deadlines.watch([attempt])
    async with alive("timeout", lambda: make(world)):
        await trio.sleep(7)
        assert attempt.stopping is None
        begun = trio.current_time()
        attempt.begin(begun)
        assert attempt.started == begun
        assert await world.monitor.next() == SoftTimedOut(attempt)
        assert trio.current_time() - begun == pytest.approx(2)
        assert await world.monitor.next() == Stuck(attempt)
        assert trio.current_time() - begun == pytest.approx(5 + STUCK_AFTER)


async def test_a_cancel_gives_the_grace_time(autojump_clock: MockClock) -> None:
    world = World()
    attempt, other = world.attempt(1), world.attempt(2)
    attempt.context.noticed = True
    async with alive("timeout", lambda: make(world)) as timeout:
        for _ in range(2):
            await timeout.handle.tell(CancelRunning([(1, 1), (2, 9), (7, 1)]))
        await wait_all_tasks_blocked()
        assert attempt.stopping is StopReason.CANCEL
        assert await world.monitor.next() == Stuck(attempt)
        assert trio.current_time() - attempt.started == pytest.approx(GRACE + STUCK_AFTER)
    assert other.stopping is None
    assert list(world.running.lanes["coroutine"].outbox) == [(attempt, Cancelled())]


async def test_deadlines_outlive_a_crash_of_the_timeout(autojump_clock: MockClock) -> None:
    world = World()
    attempt = world.attempt(soft_timeout_seconds=3.0)
    world.running.deadlines.watch([attempt])
    async with alive("timeout", lambda: make(world)) as timeout:
        await wait_all_tasks_blocked()
        await timeout.handle.tell(CancelRunning(None))  # type: ignore[arg-type]  # what it cannot take
        assert await world.monitor.next() == SoftTimedOut(attempt)
        assert timeout.handle.statistics().dead_letters == 1
    assert trio.current_time() - attempt.started == pytest.approx(3)


@pytest.mark.parametrize("ended", [3, 150, 200])
async def test_the_next_deadline_is_that_of_one_that_runs_however_many_before_it_have_ended(ended: int) -> None:
    world, deadlines = World(), Deadlines()
    attempts = [world.attempt(seq, timeout_seconds=float(seq)) for seq in range(1, 201)]
    deadlines.watch(attempts)
    for attempt in [*attempts[:ended], attempts[190]]:
        attempt.over = True
    left = [attempt for attempt in attempts if not attempt.over]
    assert deadlines.next() == (left[0].started + ended + 1 if left else math.inf)
    assert [deadline[4] for deadline in deadlines.due(math.inf)] == left
    assert deadlines.next() == math.inf


async def test_entries_of_ended_attempts_do_not_pile_up() -> None:
    world, deadlines = World(), Deadlines()
    attempts = [world.attempt(seq, timeout_seconds=9.0) for seq in range(1, SPARE + 20)]
    deadlines.watch(attempts)
    looks: list[str] = []
    deadlines.look = lambda: looks.append("look")
    for attempt in attempts[1:]:
        attempt.over = True
    deadlines.tidy(running=1000)
    deadlines.tidy(running=1)
    assert deadlines.next() == attempts[0].started + 9
    assert [deadline[4] for deadline in deadlines.due(math.inf)] == [attempts[0]]
    assert deadlines.next() == math.inf
    deadlines.add(1.0, Stage.HARD, StopReason.CANCEL, attempts[0])
    deadlines.add(2.0, Stage.HARD, StopReason.CANCEL, attempts[0])
    assert looks == ["look"]

"""The shared table: slots, leases, and what stuck attempts cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.outcome import Finished, Outcome, Raised, Returned
from actors.core.stop import StopReason
from actors.execution.attempt import Attempt
from actors.execution.process.pace import Pace
from actors.system.recorder import Recorder
from actors.system.running import LAST_WAIT, UNLIMITED, Running
from tests.execution.world import claimed, handler
from tests.mute import Mute
from tests.system.world import World, rest

DONE: Outcome = Finished('"done"')


def free(running: Running, lane: str = "coroutine") -> int:
    return running.lanes[lane].free()


async def test_a_claimed_task_takes_its_slot_before_its_worker_has_heard_of_it() -> None:
    world = World()
    world.take(1)
    assert free(world.running) == 3
    assert not world.running.idle


async def test_an_end_frees_the_slot_and_keeps_the_lease() -> None:
    world = World()
    attempt = world.attempt()
    world.running.end(attempt, DONE)
    assert free(world.running) == 4
    assert world.running.leased == {1: 1}
    assert list(world.running.lanes["coroutine"].outbox) == [(attempt, DONE)]
    assert world.running.by_type["work"] == 0


async def test_a_lease_ends_with_its_own_attempt_and_takes_an_early_cancel_along() -> None:
    running = World().running
    running.take([claimed(1, attempt=2)])
    running.cancelled.add(1)
    running.settle(1, 1)  # that of an earlier attempt, stored late
    assert (running.leased, running.cancelled) == ({1: 2}, {1})
    running.settle(1, 2)
    running.settle(1, 2)
    assert (running.leased, running.cancelled) == ({}, set())
    assert running.idle


async def test_an_end_is_taken_once() -> None:
    world = World()
    attempt = world.attempt()
    for outcome in (DONE, Returned()):
        world.running.end(attempt, outcome)
    assert list(world.running.lanes["coroutine"].outbox) == [(attempt, DONE)]
    assert free(world.running) == 4


async def test_the_worker_is_told_of_the_first_outcome_alone() -> None:
    world, looks = World(), list[str]()
    world.running.lanes["coroutine"].look = lambda: looks.append("look")
    for seq in (1, 2, 3):
        world.running.end(world.attempt(seq), DONE)
    assert looks == ["look"]


async def test_stuck_attempts_free_as_many_slots_as_the_lane_has() -> None:
    world = World()
    attempts: list[Attempt] = []
    left = []
    for seq in range(1, 7):
        attempts.append(world.attempt(seq))
        world.running.abandon(attempts[-1])
        left.append(free(world.running))
    assert left == [4, 4, 4, 4, 3, 2]
    for attempt in attempts:
        world.running.end(attempt, DONE)
    assert free(world.running) == 4


async def test_abandoning_is_an_end_and_the_real_one_is_told_as_room() -> None:
    world, looks = World(), list[str]()
    world.running.look_for_room = lambda: looks.append("room")
    attempt = world.attempt()
    attempt.force(StopReason.SHUTDOWN)
    world.running.abandon(attempt)
    world.running.abandon(attempt)
    assert list(world.running.lanes["coroutine"].outbox) == [(attempt, Returned())]
    assert looks == []
    world.running.end(attempt, DONE)
    assert looks == ["room"]
    assert world.running.lanes["coroutine"].stuck == set()


async def test_rooms_leave_out_what_is_paused() -> None:
    world = World(handler(rest), handler(rest, "mail"))
    world.running.paused = frozenset({("lane", "thread"), ("task_type", "mail")})
    (room,) = world.running.rooms()
    assert (room.lane, room.slots, room.types) == ("coroutine", 4, {"work": UNLIMITED})


async def test_rooms_keep_to_a_types_own_limit() -> None:
    world = World(handler(rest, max_concurrency=2))
    lefts = []
    for seq in (1, 2):
        lefts.append(world.running.rooms()[0].types["work"])
        world.take(seq)
    assert [*lefts, world.running.rooms()[0].types["work"]] == [2, 1, 0]


async def test_tasks_of_a_small_type_share_a_slot_and_each_other_one_has_its_own() -> None:
    pace = Pace(["work"])
    world = World(handler(rest), handler(rest, "mail"), pace=pace)
    lane = world.running.lanes["coroutine"]
    tasks = [world.take(seq, task_type="work" if seq <= 33 else "mail") for seq in range(1, 35)]
    assert lane.free() == 4 - 34
    pace.saw("work", 0.0001)
    assert lane.free() == 4 - 2 - 1
    assert world.running.rooms()[0].depths == {"work": 32}
    world.running.release(tasks[0])
    assert lane.free() == 4 - 1 - 1
    for task in tasks[1:]:
        world.running.release(task)
    assert (lane.free(), lane.taken, lane.in_processes.total()) == (4, 0, 0)


async def test_a_type_that_is_small_no_longer_takes_whole_slots_at_once() -> None:
    pace = Pace(["work"])
    pace.saw("work", 0.0001)
    world = World(pace=pace)
    tasks = [world.take(seq) for seq in range(1, 9)]
    assert world.running.lanes["coroutine"].free() == 3
    pace.saw("work", 10.0)
    assert world.running.lanes["coroutine"].free() == 4 - 8
    assert world.running.rooms()[0].slots == 0
    for task in tasks:
        world.running.release(task)
    assert world.running.lanes["coroutine"].free() == 4


async def test_nothing_starts_beside_a_task_that_has_to_run_alone() -> None:
    world = World()
    attempt = world.attempt(alone=1)
    assert world.running.rooms() == []
    world.running.end(attempt, DONE)
    assert len(world.running.rooms()) == 2


async def test_a_stop_tells_what_runs_and_starts_nothing_more() -> None:
    world = World()
    attempt = world.attempt()
    world.running.begin_stop(12.0)
    world.running.begin_stop(99.0)
    assert attempt.stopping is StopReason.SHUTDOWN
    assert world.running.stop_at == 12.0
    assert world.running.rooms() == []


async def test_a_handler_is_recorded_while_it_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "running")
    seen: list[frozenset[tuple[int, int]]] = []

    async def work() -> None:
        seen.append(Recorder(path).before)

    recorder = Recorder(path)
    recorder.begin()
    world = World(handler(work), recorder=recorder)
    attempt = world.attempt(5, attempt=3)
    looked = trio.Event()
    world.running.lanes["coroutine"].look = looked.set
    world.running.start(attempt)
    await looked.wait()
    assert seen == [{(5, 3)}]
    assert attempt.over
    assert attempt.ended >= attempt.started


async def test_the_table_lists_all_that_run_in_every_lane() -> None:
    world = World(handler(rest), handler(lambda: None, "thread-work"))
    attempts = [world.attempt(1), world.attempt(2, task_type="thread-work", lane="thread")]
    assert list(world.running.attempts()) == attempts


async def test_an_error_that_cannot_be_described_is_an_outcome_like_any_other() -> None:
    async def leave() -> None:
        sys.exit(cast(Any, Mute()))

    world, ended = World(handler(leave)), trio.Event()
    attempt = world.attempt()
    lane = world.running.lanes["coroutine"]
    lane.look = ended.set
    world.running.start(attempt)
    await ended.wait()
    ((_, outcome),) = lane.outbox
    assert isinstance(outcome, Raised)
    assert outcome.info.message == "an error that cannot be described"


async def shielded(go: trio.Event) -> None:
    """Run on until *go*, whatever comes."""
    with trio.CancelScope(shield=True):
        await go.wait()


async def test_the_last_step_of_a_stop_forces_all_and_waits_until_no_handler_runs(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            ended.append(trio.current_time())

    world = World(handler(slow))
    attempt = world.attempt()
    world.running.start(attempt)
    await wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()  # what ends the service does not cut this short
        await world.running.end_all()
    assert ended == [trio.current_time()]
    assert list(world.running.lanes["coroutine"].outbox) == [(attempt, Returned())]


async def test_the_last_step_of_a_stop_waits_two_seconds_at_most_for_all_lanes_together(
    autojump_clock: MockClock,
) -> None:
    go = trio.Event()

    async def deaf() -> None:
        await shielded(go)

    world = World(handler(deaf))
    world.running.start(world.attempt())
    await wait_all_tasks_blocked()
    begun = trio.current_time()
    for _ in range(2):  # once, and after it was waited for once
        await world.running.end_all()
        assert trio.current_time() - begun == LAST_WAIT
    go.set()


async def test_the_hard_stage_comes_to_all_lanes_at_once_and_once(autojump_clock: MockClock) -> None:
    world = World(handler(rest), handler(rest, "other"))
    attempts = [world.attempt(1), world.attempt(2, task_type="other", lane="thread")]
    first = world.running.begin_hard_stop()
    await trio.sleep(1)
    assert world.running.begin_hard_stop() == first == trio.current_time() - 1 + LAST_WAIT
    assert [attempt.cut_off() for attempt in attempts] == [Returned()] * 2
    assert [attempt.stopping for attempt in attempts] == [StopReason.SHUTDOWN] * 2

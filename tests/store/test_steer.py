from __future__ import annotations

from datetime import UTC, datetime

from actors.core.lifecycle import Transition
from actors.store import rollups, steer, tasks
from tests.store.world import World


def test_a_cancelled_waiting_task_ends_at_once(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.RETRY))
    waiting = [row.task_id, *world.submitted("mail"), *world.submitted("mail", due=world.now + 9)]
    assert [(found.taken, found.running) for found in world.cancel(*waiting)] == [(True, None)] * len(waiting)
    assert world.statuses(waiting) == ["cancelled"] * len(waiting)
    world.now += 20
    assert (world.promote(), world.claim()) == (0, [])
    assert world.gauges() == world.counts()


def test_a_cancelled_running_task_is_marked_for_its_node(world: World) -> None:
    first, _ = world.running(2)
    (found,) = world.cancel(first.task_id)
    assert found.running == (first.seq, 1, "node-1")
    assert steer.cancels_requested(world.connection, "node-1") == [(first.seq, 1)]
    assert steer.cancels_requested(world.connection, "node-2") == []
    assert world.get(first.task_id).status.value == "running"


def test_cancelling_again_or_after_the_end_counts_nothing(world: World) -> None:
    (task_id,) = world.submitted("mail")
    assert [world.cancel(task_id)[0].taken for _ in range(2)] == [True, False]
    assert rollups.flows(world.connection)["cancelled"] == 1
    assert world.cancel(task_id, task_id, "no such id") == world.cancel(task_id)


def test_a_huge_cancel_takes_every_task_it_is_given(world: World) -> None:
    submitted = world.submitted(*["mail"] * 1300)
    assert sum(found.taken for found in world.cancel(*submitted)) == 1300
    assert world.gauges() == world.counts() == {"cancelled": 1300}


def test_a_task_that_did_not_start_in_time_ends_with_an_error_that_says_so(world: World) -> None:
    late = world.submitted("mail", expires_at=world.now + 5) + world.submitted(
        "mail", due=world.now + 60, expires_at=world.now + 5
    )
    kept = world.submitted("mail", expires_at=world.now + 6) + world.submitted("mail")
    assert world.expire() == []
    world.now += 5
    assert sorted(found.task_id for found in world.expire()) == sorted(late)
    assert world.statuses(late + kept) == ["timeout", "timeout", "pending", "pending"]
    error = world.get(late[0]).error_info
    assert error is not None
    assert (error.type, error.attempt) == ("Expired", 0)
    assert world.gauges() == world.counts()


def test_a_retry_that_did_not_start_in_time_ends_with_an_error_that_is_true_of_it_too(world: World) -> None:
    (row,) = world.running(expires_at=world.now + 5)
    world.settle(world.change(row, Transition.RETRY))
    world.now += 5
    (expired,) = world.expire()
    assert (str(expired.error), expired.error.attempt) == ("Expired: the task was not started in time", 1)


def test_expiry_comes_in_batches_and_never_to_a_running_task(world: World) -> None:
    world.running(expires_at=world.now + 1)
    world.submitted(*["mail"] * 5, expires_at=world.now + 1)
    world.now += 2
    assert [len(world.expire(most=2)) for _ in range(4)] == [2, 2, 1, 0]
    assert world.gauges() == world.counts() == {"running": 1, "timeout": 5}


def test_progress_is_stored_for_the_running_attempt_alone(world: World) -> None:
    first, second = world.running(2)
    text = '{"fraction": 0.5, "message": "half", "data": {"n": 1}, "at": "2024-01-01T00:00:00+00:00"}'
    world.give_back((second.seq, second.attempt))
    tasks.set_progress(world.connection, [(first.seq, 1, text), (second.seq, 1, text), (first.seq, 2, "{}")])
    progress = world.get(first.task_id).progress
    assert progress is not None
    assert (progress.fraction, progress.message, progress.data) == (0.5, "half", {"n": 1})
    assert progress.at == datetime(2024, 1, 1, tzinfo=UTC)
    assert world.get(second.task_id).progress is None
    tasks.set_progress(world.connection, [])


def test_a_new_attempt_starts_without_the_progress_of_the_last(world: World) -> None:
    (row,) = world.running()
    text = '{"fraction": 0.5, "message": "", "data": {}, "at": "2024-01-01T00:00:00+00:00"}'
    tasks.set_progress(world.connection, [(row.seq, 1, text)])
    world.give_back((row.seq, 1))
    world.claim()
    assert world.get(row.task_id).progress is None


def test_a_pause_is_kept_until_it_is_ended(world: World) -> None:
    for _ in range(2):
        steer.set_pause(world.connection, "lane", "thread", world.now)
        steer.set_pause(world.connection, "task_type", "mail", world.now)
    assert steer.pauses(world.connection) == {("lane", "thread"), ("task_type", "mail")}
    steer.end_pause(world.connection, "lane", "thread")
    steer.end_pause(world.connection, "lane", "never paused")
    assert steer.pauses(world.connection) == {("task_type", "mail")}

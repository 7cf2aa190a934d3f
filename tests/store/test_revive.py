from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.core.lifecycle import Transition
from actors.core.request import Claimed
from actors.core.task import TaskStatus
from actors.store import revive, rollups, views
from actors.store.revive import Failures, Revival
from tests.store.world import World, room

DONE, ELSEWHERE, KEY_TAKEN = Revival.DONE, Revival.ELSEWHERE, Revival.KEY_TAKEN
ENDS = (Transition.COMPLETE, Transition.FAIL, Transition.TIME_OUT, Transition.CANCEL)


def ended(world: World, transition: Transition = Transition.FAIL, **values: Any) -> Claimed:
    """A task that ended so."""
    (row,) = world.running(**values)
    world.settle(world.change(row, transition))
    return row


@pytest.mark.parametrize("transition", ENDS)
def test_every_end_can_be_revived_and_runs_again_with_the_next_number(world: World, transition: Transition) -> None:
    row = ended(world, transition)
    world.now += 100
    assert world.revive(row.task_id.upper()) == [DONE]
    task = world.get(row.task_id)
    assert (task.status, task.due_at.timestamp()) == (TaskStatus.PENDING, world.now)
    assert (task.completed_at, task.result_data, task.node) == (None, None, None)
    assert world.gauges() == world.counts() == {"pending": 1}
    assert rollups.flows(world.connection)["revived"] == 1
    (again,) = world.claim()
    assert (again.seq, again.attempt, again.retry_count) == (row.seq, 2, 0)
    world.settle(world.change(again, Transition.COMPLETE))
    assert world.gauges() == world.counts() == {"completed": 1}


def test_a_revived_task_has_all_its_chances_again_and_no_mark_of_the_past(world: World) -> None:
    row = ended(world, expires_at=world.now + 5)
    world.set(row.task_id, retry_count=3, crash_count=1, crashes_seen=2, alone=1, cancel_requested=1)
    world.now += 50
    world.revive(row.task_id)
    task = world.get(row.task_id)
    assert (task.retry_count, task.crash_count, task.expires_at) == (0, 0, None)
    assert world.expire() == []
    (again,) = world.claim()
    assert (again.crashes_seen, again.alone) == (0, 0)
    assert world.settle(world.change(again, Transition.COMPLETE))[0].value == "stored"


def test_attempts_and_the_last_error_stay_until_the_next_end(world: World) -> None:
    row = ended(world)
    world.revive(row.task_id)
    error = world.get(row.task_id).error_info
    assert error is not None
    assert error.attempt == 1
    (again,) = world.claim()
    world.settle(world.change(again, Transition.TIME_OUT))
    found = views.attempts(world.connection, row.task_id)
    assert [(attempt.number, attempt.outcome) for attempt in found] == [(1, "failed"), (2, "timed_out")]


def test_a_revived_task_keeps_its_priority_in_the_order(world: World) -> None:
    row = ended(world, priority=9)
    world.now += 1000
    (rival,) = world.submitted("mail", priority=5)
    world.revive(row.task_id)
    assert [claimed.task_id for claimed in world.claim()] == [row.task_id, rival]


@pytest.mark.parametrize("state", ["pending", "running", "retrying"])
def test_a_task_that_lives_is_left_as_it_is(world: World, state: str) -> None:
    if state == "pending":
        (task_id,) = world.submitted("mail")
    else:
        (row,) = world.running()
        task_id = row.task_id
        if state == "retrying":
            world.settle(world.change(row, Transition.RETRY))
    before = world.get(task_id)
    assert world.revive(task_id) == [ELSEWHERE]
    assert world.get(task_id) == before
    assert world.gauges() == world.counts() == {state: 1}


def test_what_failed_when_it_was_seen_and_has_completed_since_is_left_as_it_is(world: World) -> None:
    failed, healed = ended(world), ended(world)
    world.revive(healed.task_id)
    (again,) = world.claim()
    world.settle(world.change(again, Transition.COMPLETE))
    both = [failed.task_id, healed.task_id]
    assert world.revive(*both, nonce=8, states=revive.FAILURES) == [DONE, ELSEWHERE]
    assert world.statuses(both) == ["pending", "completed"]
    assert world.gauges() == world.counts()


def test_unknown_ids_are_left_out(world: World) -> None:
    assert world.revive("no such id") == []


def test_a_repeated_revival_knows_what_it_has_done_and_counts_once(world: World) -> None:
    row = ended(world)
    assert [world.revive(row.task_id, nonce=7) for _ in range(2)] == [[DONE], [DONE]]
    assert rollups.flows(world.connection)["revived"] == 1
    assert world.revive(row.task_id, nonce=8) == [ELSEWHERE]
    (again,) = world.claim()
    world.settle(world.change(again, Transition.FAIL))
    assert world.revive(row.task_id, nonce=7) == [DONE]
    assert world.statuses([row.task_id]) == ["failed"]


def test_a_task_whose_key_was_taken_meanwhile_stays_as_it_ended(world: World) -> None:
    row, free = ended(world, key="k"), ended(world, key="other")
    world.submitted("mail", key="k")
    world.submitted("report", key="other")
    assert world.revive(row.task_id, free.task_id) == [KEY_TAKEN, DONE]
    assert world.statuses([row.task_id, free.task_id]) == ["failed", "pending"]
    assert world.gauges() == world.counts()


def test_of_two_with_one_key_the_older_is_revived(world: World) -> None:
    older, younger = ended(world, key="k"), ended(world, key="k")
    assert world.revive(younger.task_id, older.task_id) == [DONE, KEY_TAKEN]
    assert world.statuses([older.task_id, younger.task_id]) == ["pending", "failed"]


def test_many_are_revived_at_once(world: World) -> None:
    rows = world.running(600)
    world.settle(*(world.change(row, Transition.FAIL) for row in rows))
    assert world.revive(*(row.task_id for row in rows)) == [DONE] * 600
    assert world.gauges() == world.counts() == {"pending": 600}
    assert len(world.claim(room(1000))) == 600


def look(world: World, status: TaskStatus = TaskStatus.FAILED, **given: Any) -> Failures:
    wanted = {"task_type": None, "since": None, "until": world.now, "behind": None, **given}
    return revive.failures(world.connection, status, **wanted)


def batches(world: World, most: int, **given: Any) -> Iterator[list[str]]:
    found = look(world, most=most, **given)
    yield list(found.task_ids)
    while found.behind is not None:
        found = look(world, most=most, behind=found.behind, **given)
        yield list(found.task_ids)


def test_failures_come_in_batches_oldest_end_first(world: World) -> None:
    rows = [ended(world) for _ in range(5)]
    ended(world, Transition.TIME_OUT)
    ended(world, Transition.COMPLETE)
    ids = [row.task_id for row in rows]
    assert list(batches(world, 2)) == [ids[:2], ids[2:4], ids[4:]]
    assert len(look(world, TaskStatus.TIMEOUT).task_ids) == 1


def test_failures_of_one_type_and_time_alone(world: World) -> None:
    first = ended(world)
    world.now += 10
    report, second = ended(world, task_type="report"), ended(world)
    world.now += 10
    ended(world)
    until, since = world.now - 5, world.now - 10
    assert list(look(world, until=until).task_ids) == [first.task_id, report.task_id, second.task_id]
    assert list(look(world, until=until, since=since).task_ids) == [report.task_id, second.task_id]
    assert list(batches(world, 1, task_type="report", until=until)) == [[], [report.task_id], [], []]

from __future__ import annotations

from typing import cast

import attrs
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from actors.core.lifecycle import Transition, target
from actors.store import rollups, views
from actors.store.settle import Settled
from tests.store.statements import statements_noted
from tests.store.world import KEPT_AS, World, ids

EVERY = list(KEPT_AS)


@pytest.mark.parametrize("transition", EVERY)
@pytest.mark.parametrize("count", [1, 20])
def test_each_outcome_leads_to_its_state_and_is_counted(world: World, transition: Transition, count: int) -> None:
    rows = world.running(count)
    assert world.settle(*(world.change(row, transition) for row in rows)) == [Settled.STORED] * count
    assert world.gauges() == world.counts() == {target(transition).value: count}


def test_a_completed_task_has_its_result_and_no_error(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.RETRY))
    world.now += 10
    world.promote()
    (again,) = world.claim()
    world.settle(world.change(again, Transition.COMPLETE, result='{"sent": 3}'))
    task = world.get(row.task_id)
    assert (task.result_data, task.error_info) == ({"sent": 3}, None)
    assert task.completed_at is not None
    assert task.completed_at.timestamp() == world.now


def test_a_plain_success_leaves_no_attempt_row(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE))
    assert views.attempts(world.connection, row.task_id) == []


@pytest.mark.parametrize("transition", [t for t in EVERY if t is not Transition.COMPLETE])
def test_an_attempt_that_did_not_succeed_is_written_down(world: World, transition: Transition) -> None:
    (row,) = world.running()
    world.settle(world.change(row, transition))
    (attempt,) = views.attempts(world.connection, row.task_id)
    outcome = KEPT_AS[transition]
    assert outcome is not None
    assert (attempt.number, attempt.node, attempt.outcome) == (1, "node-1", outcome.value)
    assert attempt.error_info == world.change(row, transition).error


@pytest.mark.parametrize(("transition", "error"), [(Transition.FAIL, "ValueError"), (Transition.TIME_OUT, "TimedOut")])
def test_a_failure_keeps_its_error(world: World, transition: Transition, error: str) -> None:
    (row,) = world.running()
    world.settle(world.change(row, transition, error=world.error(row, error)))
    task = world.get(row.task_id)
    assert task.error_info == world.error(row, error)
    assert task.result_data is None


def test_a_retry_counts_and_waits_for_its_time(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.RETRY))
    task = world.get(row.task_id)
    assert (task.status.value, task.retry_count, task.due_at.timestamp()) == ("retrying", 1, world.now + 10)
    assert task.error_info == world.error(row)
    assert world.promote() == 0


def test_a_snooze_counts_nothing_and_keeps_the_error_of_before(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.RETRY))
    world.now += 10
    world.promote()
    (again,) = world.claim()
    world.settle(world.change(again, Transition.SNOOZE))
    task = world.get(row.task_id)
    assert (task.status.value, task.retry_count, task.due_at.timestamp()) == ("pending", 1, world.now + 10)
    assert task.error_info is not None
    assert world.claim() == []


def test_a_returned_attempt_burns_nothing_and_can_be_claimed_at_once(world: World) -> None:
    first, second = world.running(2)
    world.settle(world.change(second, Transition.GIVE_BACK), world.change(first, Transition.GIVE_BACK))
    task = world.get(first.task_id)
    assert (task.retry_count, task.crash_count, task.node) == (0, 0, None)
    assert ids(world.claim()) == [first.task_id, second.task_id]


@pytest.mark.parametrize("transition", EVERY)
def test_a_late_result_does_not_overwrite_a_newer_attempt(world: World, transition: Transition) -> None:
    (old,) = world.running()
    world.give_back((old.seq, old.attempt))
    (new,) = world.claim()
    before = world.get(old.task_id)
    assert world.settle(world.change(old, transition)) == [Settled.FENCED]
    assert world.get(old.task_id) == before
    assert world.settle(world.change(new, Transition.COMPLETE)) == [Settled.STORED]
    assert world.gauges() == world.counts()


@pytest.mark.parametrize("transition", EVERY)
def test_a_result_that_comes_after_the_end_changes_nothing(world: World, transition: Transition) -> None:
    (row,) = world.running()
    ending = Transition.FAIL if transition is not Transition.FAIL else Transition.COMPLETE
    world.settle(world.change(row, ending))
    before = world.get(row.task_id)
    assert world.settle(world.change(row, transition)) == [Settled.FENCED]
    assert world.get(row.task_id) == before


@pytest.mark.parametrize("transition", EVERY)
@pytest.mark.parametrize("count", [1, 20])
def test_a_repeated_settle_is_known_and_counts_nothing_twice(world: World, transition: Transition, count: int) -> None:
    changes = [world.change(row, transition) for row in world.running(count)]
    world.settle(*changes)
    flows = rollups.flows(world.connection)
    before = [world.get(change.task_id) for change in changes]
    assert world.settle(*changes) == [Settled.STORED_BEFORE] * count
    assert [world.get(change.task_id) for change in changes] == before
    assert rollups.flows(world.connection) == flows
    assert world.gauges() == world.counts()


def test_what_is_refused_costs_no_statement_for_each_outcome(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [world.change(row, Transition.COMPLETE) for row in world.running(200)]
    world.settle(*changes)
    asked: list[object] = []
    with statements_noted(monkeypatch) as prepared:
        event.listen(world.connection, "before_execute", lambda *given: asked.append(given[1]))
        assert world.settle(*changes) == [Settled.STORED_BEFORE] * 200
    assert len(prepared) + len(asked) < 10


def test_one_change_twice_in_a_batch_is_stored_once(world: World) -> None:
    changes = [world.change(row, Transition.COMPLETE) for row in world.running(10)]
    assert world.settle(*changes, changes[3]) == [Settled.STORED] * 10 + [Settled.STORED_BEFORE]
    assert rollups.flows(world.connection)["completed"] == 10


@pytest.mark.parametrize("transition", [t for t in EVERY if t is not Transition.CANCEL])
def test_a_cancel_of_a_running_task_wins_over_its_outcome(world: World, transition: Transition) -> None:
    (row,) = world.running()
    (cancelled,) = world.cancel(row.task_id)
    assert (cancelled.taken, cancelled.running) == (True, (row.seq, row.attempt, "node-1"))
    change = world.change(row, transition)
    assert world.settle(change) == [Settled.CANCELLED]
    task = world.get(row.task_id)
    assert (task.status.value, task.result_data) == ("cancelled", None)
    assert [attempt.outcome for attempt in views.attempts(world.connection, row.task_id)] == ["cancelled"]
    assert world.settle(change) == [Settled.STORED_BEFORE]
    assert world.gauges() == world.counts() == {"cancelled": 1}
    assert rollups.flows(world.connection)["cancelled"] == 1


def test_an_outcome_that_was_stored_first_wins_over_a_cancel(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE))
    (cancelled,) = world.cancel(row.task_id)
    assert not cancelled.taken
    assert world.get(row.task_id).status.value == "completed"


@pytest.mark.parametrize("count", [3, 40])
def test_one_refused_change_keeps_no_other_from_being_stored(world: World, count: int) -> None:
    rows = world.running(count)
    changes = [world.change(row, Transition.COMPLETE) for row in rows]
    changes[1] = attrs.evolve(changes[1], attempt=7)
    world.cancel(rows[2].task_id)
    results = world.settle(*changes)
    assert results == [Settled.STORED, Settled.FENCED, Settled.CANCELLED, *[Settled.STORED] * (count - 3)]
    assert world.gauges() == world.counts()
    assert rollups.flows(world.connection)["completed"] == count - 2


def test_outcomes_of_every_kind_in_one_batch_keep_their_order(world: World) -> None:
    rows = world.running(5 * len(EVERY))
    changes = [world.change(row, EVERY[index % len(EVERY)]) for index, row in enumerate(rows)]
    changes[10] = attrs.evolve(changes[10], attempt=9)
    results = world.settle(*changes)
    assert [index for index, result in enumerate(results) if result is not Settled.STORED] == [10]
    for index, change in enumerate(changes):
        expected = "running" if index == 10 else target(change.transition).value
        assert world.get(change.task_id).status.value == expected
    assert world.gauges() == world.counts()


def test_an_empty_batch_settles_nothing(world: World) -> None:
    assert world.settle() == []


def test_the_time_of_completed_attempts_and_the_types_of_errors_are_counted(world: World) -> None:
    good, bad = world.running(2)
    odd = world.error(bad, "Odd\ud800\0Error")
    world.settle(world.change(good, Transition.COMPLETE), world.change(bad, Transition.FAIL, error=odd))
    flows = rollups.flows(world.connection)
    assert flows["micros"] == 250_000
    assert flows["error:Odd\\ud800\\0Error"] == 1
    assert sum(n for name, n in flows.items() if name.startswith("bucket:")) == 1


@pytest.mark.parametrize("count", [2, 30])
def test_an_error_in_the_middle_of_a_settle_batch_leaves_nothing_half_stored(engine: Engine, count: int) -> None:
    with engine.connect() as connection:
        world = World(connection)
        with connection.begin():
            changes = [world.change(row, Transition.COMPLETE) for row in world.running(count)]
        broken = attrs.evolve(changes[-1], result=cast("str", {}))  # no driver can bind it
        with pytest.raises(Exception, match=r"dict|binding|type"), connection.begin():
            world.settle(*changes[:-1], broken)
        with connection.begin():
            assert world.gauges() == world.counts() == {"running": count}
            assert world.settle(*changes) == [Settled.STORED] * count

from __future__ import annotations

import time

from actors.core.lifecycle import Transition
from actors.core.request import Claimed
from actors.core.task import moment
from actors.store import leases, nodes, rollups, views
from actors.store.settle import Settled
from tests.store.world import World, ids


def test_a_node_is_known_from_its_registration_until_it_leaves(world: World) -> None:
    nodes.register(world.connection, "a", 10.0, 25.0, working=True)
    nodes.register(world.connection, "b", 11.0, 25.0, working=False)
    assert nodes.renew(world.connection, "a", 12.0, 27.0, '{"tree": 1}')
    a, b = nodes.known(world.connection, 26.0)
    assert (a.name, a.started_at, a.heartbeat_at, a.lease_until) == ("a", moment(10.0), moment(12.0), moment(27.0))
    assert (a.working, a.alive, a.snapshot) == (True, True, {"tree": 1})
    assert (b.name, b.working, b.alive, b.snapshot) == ("b", False, False, {})
    nodes.leave(world.connection, "a")
    assert not nodes.renew(world.connection, "a", 13.0, 28.0, None)
    assert [node.name for node in nodes.known(world.connection, 20.0)] == ["b"]


def test_a_node_that_registers_again_starts_anew(world: World) -> None:
    nodes.register(world.connection, "a", 10.0, 25.0, working=True)
    nodes.renew(world.connection, "a", 12.0, 27.0, "{}")
    nodes.register(world.connection, "a", 90.0, 95.0, working=True)
    (a,) = nodes.known(world.connection, 91.0)
    assert (a.started_at, a.heartbeat_at, a.snapshot) == (moment(90.0), moment(90.0), {})


def attempts_of(*rows: Claimed) -> set[tuple[int, int]]:
    return {(row.seq, row.attempt) for row in rows}


def test_a_claim_whose_handler_had_not_started_goes_back_uncharged(world: World) -> None:
    (row,) = world.running()
    (found,) = world.recover()
    assert (found.task_id, found.status.value, found.error) == (row.task_id, "pending", None)
    task = world.get(row.task_id)
    assert (task.status.value, task.crash_count, task.retry_count, task.node) == ("pending", 0, 0, None)
    assert [attempt.outcome for attempt in views.attempts(world.connection, row.task_id)] == ["lost"]
    assert ids(world.claim(idle=False)) == [row.task_id]


def test_a_handler_that_ran_alone_is_charged_for_the_crash(world: World) -> None:
    (row,) = world.running()
    world.recover(attempts_of(row))
    task = world.get(row.task_id)
    assert (task.status.value, task.crash_count, task.retry_count) == ("pending", 1, 0)
    assert [attempt.outcome for attempt in views.attempts(world.connection, row.task_id)] == ["crashed"]


def test_handlers_that_ran_in_company_are_seen_but_not_charged(world: World) -> None:
    rows = world.running(3)
    world.recover(list(attempts_of(*rows)))
    assert [world.get(row.task_id).crash_count for row in rows] == [0, 0, 0]
    again = world.claim()
    assert [(row.crashes_seen, row.alone) for row in again] == [(1, 0)] * 3


def test_one_whose_handler_has_ended_is_company_until_its_outcome_is_stored(world: World) -> None:
    still = world.running(3)[0]
    world.recover(attempts_of(still))
    assert world.get(still.task_id).crash_count == 0
    assert [(row.crashes_seen, row.alone) for row in world.claim() if row.seq == still.seq] == [(1, 0)]


def test_after_two_crashes_in_company_each_runs_alone(world: World) -> None:
    rows = world.running(3)
    for _ in range(2):
        world.recover(attempts_of(*rows))
        rows = world.claim() or rows
    assert world.claim_all(idle=False).alone_waits
    (first,) = world.claim(idle=True)
    assert (first.alone, first.crashes_seen) == (1, 2)


def test_a_third_crash_while_alone_fails_the_task_and_says_so(world: World) -> None:
    (row,) = world.running()
    for number in range(1, 4):
        assert row.attempt == number
        (found,) = world.recover(attempts_of(row))
        (row,) = world.claim(idle=True) or [row]
    assert found.status.value == "failed"
    task = world.get(row.task_id)
    assert (task.status.value, task.crash_count, task.completed_at is not None) == ("failed", 3, True)
    assert task.error_info is not None
    assert task.error_info.type == "ProcessCrashed"
    assert "after 2 crashes" in task.error_info.message
    assert task.error_info == found.error
    assert world.get(row.task_id).node == "node-1"
    outcomes = [attempt.outcome for attempt in views.attempts(world.connection, row.task_id)]
    assert outcomes == ["crashed"] * 3
    assert rollups.flows(world.connection)["error:ProcessCrashed"] == 1
    assert world.gauges() == world.counts() == {"failed": 1}


def test_a_cancelled_task_of_a_dead_node_ends_cancelled(world: World) -> None:
    (row,) = world.running()
    world.cancel(row.task_id)
    (found,) = world.recover(attempts_of(row))
    assert found.status.value == "cancelled"
    assert world.get(row.task_id).completed_at is not None
    assert world.gauges() == world.counts() == {"cancelled": 1}


def test_a_zombie_that_wakes_after_recovery_is_fenced(world: World) -> None:
    (row,) = world.running()
    world.recover(attempts_of(row))
    late = world.change(row, Transition.COMPLETE)
    assert world.settle(late) == [Settled.FENCED]
    world.claim()
    assert world.settle(late) == [Settled.FENCED]
    assert world.get(row.task_id).status.value == "running"


def test_recovery_leaves_waiting_and_ended_tasks_alone(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE))
    world.submitted("mail")
    assert world.recover() == []


def test_recovering_a_thousand_tasks_takes_far_less_than_a_second(world: World) -> None:
    rows = world.running(1000)
    begun = time.perf_counter()
    assert len(world.recover(attempts_of(*rows))) == 1000
    assert time.perf_counter() - begun < 1.0
    assert world.gauges() == world.counts() == {"pending": 1000}


def test_what_is_given_back_is_whole_again_and_repeating_it_changes_nothing(world: World) -> None:
    first, second = world.running(2)
    world.settle(world.change(second, Transition.COMPLETE))
    claims = [(first.seq, 1), (second.seq, 1), (first.seq, 2)]
    assert world.give_back(*claims) == [first.seq]
    assert world.give_back(*claims) == []
    task = world.get(first.task_id)
    assert (task.status.value, task.node, task.retry_count) == ("pending", None, 0)
    assert views.attempts(world.connection, first.task_id) == []
    assert world.gauges() == world.counts()
    assert rollups.flows(world.connection)["returned"] == 1


def test_a_claim_that_was_cancelled_ends_so_when_it_is_given_back(world: World) -> None:
    (row,) = world.running()
    world.cancel(row.task_id)
    assert world.give_back((row.seq, row.attempt)) == [row.seq]
    assert world.get(row.task_id).status.value == "cancelled"
    assert world.gauges() == world.counts() == {"cancelled": 1}
    assert world.claim() == []


def test_a_node_can_ask_what_it_holds(world: World) -> None:
    first, second = world.running(2)
    world.settle(world.change(second, Transition.COMPLETE))
    assert leases.held_by(world.connection, "node-1") == [(first.seq, 1)]
    assert leases.held_by(world.connection, "node-2") == []


def test_the_one_working_node_forgets_the_working_nodes_before_it(world: World) -> None:
    for name, working in (("old", True), ("me", True), ("submitter", False)):
        nodes.register(world.connection, name, 10.0, 25.0, working=working)
    nodes.forget_others(world.connection, "me")
    assert [node.name for node in nodes.known(world.connection, 20.0)] == ["me", "submitter"]

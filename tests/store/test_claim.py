from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from actors.core.lifecycle import Transition
from actors.core.priority import rank
from actors.store import claim, leases
from tests.store.world import AGING, TYPES, World, ids, room


def test_a_claimed_task_is_leased_to_the_node_for_a_new_attempt(world: World) -> None:
    world.submit(world.new(metadata='{"a": 1}', input_data='{"n": 2}'))
    (row,) = world.claim()
    assert (row.attempt, row.claimed_as, row.started_at) == (1, "pending", world.now)
    assert (row.input_data, row.metadata, row.mode) == ('{"n": 2}', '{"a": 1}', "coroutine")
    task = world.get(row.task_id)
    assert (task.status.value, task.attempt, task.node) == ("running", 1, "node-1")
    assert world.claim() == []


def test_attempts_are_counted_up_and_never_reused(world: World) -> None:
    (row,) = world.running()
    for number in range(2, 5):
        world.give_back((row.seq, row.attempt))
        (row,) = world.claim()
        assert row.attempt == number


def test_tasks_are_claimed_by_rank_across_types_and_within_one(world: World) -> None:
    late, low, high, urgent = (
        world.submitted("mail", due=world.now - 10)[0],
        world.submitted("report", due=world.now - 20, priority=1)[0],
        world.submitted("resize", due=world.now, priority=10)[0],
        world.submitted("mail", due=world.now, priority=20)[0],
    )
    assert ids(world.claim()) == [urgent, high, late, low]


def test_tasks_of_one_rank_go_in_order_of_submission(world: World) -> None:
    submitted = world.submitted(*(random.Random(7).choices(TYPES, k=30)))
    assert ids(world.claim(room(10)) + world.claim(room(20))) == submitted


def test_low_priority_does_not_starve_behind_high(world: World) -> None:
    (low,) = world.submitted("mail", priority=1)
    world.now += 9 * AGING + 1
    world.submitted("mail", "report", "mail", priority=10)
    assert ids(world.claim(room(1))) == [low]


def test_a_claim_is_bounded_by_the_lane(world: World) -> None:
    submitted = world.submitted(*TYPES * 3)
    assert ids(world.claim(room(4))) == submitted[:4]
    assert world.claim(room(0)) == []


def test_a_claim_is_bounded_by_each_type(world: World) -> None:
    mails = world.submitted("mail", "mail", "mail")
    (report,) = world.submitted("report")
    assert ids(world.claim(room(10, mail=2, report=5))) == [*mails[:2], report]
    assert world.claim(room(10, mail=0)) == []


def deep(slots: int, depths: dict[str, int], **types: int) -> claim.Room:
    """Room in which several tasks of some types share a slot."""
    return claim.Room("coroutine", slots, types or dict.fromkeys(TYPES, 1000), depths)


def test_a_slot_is_filled_with_tasks_of_a_small_type_when_there_is_one_for_each_slot(world: World) -> None:
    mails = world.submitted(*["mail"] * 40)
    assert ids(world.claim(deep(2, {"mail": 16}))) == mails[:32]
    assert ids(world.claim(deep(2, {"mail": 16}))) == mails[32:]


def test_small_tasks_leave_slots_to_others_by_the_order_of_ranks(world: World) -> None:
    mails = world.submitted(*["mail"] * 20)
    reports = world.submitted("report", "report")
    later = world.submitted(*["mail"] * 20)
    assert ids(world.claim(deep(4, {"mail": 8}))) == [*mails, *later[:12]]
    assert ids(world.claim(deep(1, {"mail": 8}))) == reports[:1]
    assert ids(world.claim(deep(2, {"mail": 8}))) == [reports[1], *later[12:]]


def test_several_small_types_share_slots_by_their_parts(world: World) -> None:
    first = world.submitted("mail", "resize")
    mails, resizes = world.submitted(*["mail"] * 20), world.submitted(*["resize"] * 20)
    found = world.claim(deep(2, {"mail": 8, "resize": 2}))
    assert ids(found)[:2] == first
    assert (ids(found)[2:13], ids(found)[13:]) == (mails[:11], [])
    assert ids(world.claim(deep(1, {"mail": 8, "resize": 2}, resize=100))) == resizes[:2]


def test_a_types_own_limit_bounds_what_shares_a_slot(world: World) -> None:
    mails = world.submitted(*["mail"] * 20)
    assert ids(world.claim(deep(2, {"mail": 8}, mail=5))) == mails[:5]


def test_each_lane_claims_its_own(world: World) -> None:
    (thread,) = world.submitted("mail", lane="thread")
    (coroutine,) = world.submitted("mail")
    assert ids(world.claim(room(), room(lane="thread"))) == [coroutine, thread]


def test_other_types_and_lanes_are_left_alone(world: World) -> None:
    submitted = world.submitted("unknown", "mail")
    world.submitted("mail", lane="thread")
    assert ids(world.claim()) == submitted[1:]
    assert world.counts() == {"pending": 2, "running": 1}


def test_future_expired_and_ended_tasks_are_never_claimed(world: World) -> None:
    world.submitted("mail", due=world.now + 1)
    world.submitted("mail", expires_at=world.now)
    world.cancel(*world.submitted("mail"))
    assert world.claim() == []


def test_many_types_are_all_claimed_in_order(world: World) -> None:
    names = [f"type-{number}" for number in range(300)]
    submitted = world.submitted(*names)
    wanted = claim.Room("coroutine", 1000, dict.fromkeys(names, 1))
    assert ids(world.claim(wanted)) == submitted


@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 100), st.integers(0, 5000)), min_size=1, max_size=25),
    st.integers(1, 10),
    st.tuples(*[st.integers(0, 6)] * len(TYPES)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_claim_takes_the_lowest_ranks_that_fit(
    engine: Engine, wanted: list[tuple[str, int, int]], slots: int, free: tuple[int, ...]
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        world = World(connection)
        rows = [world.new(name, priority=priority, due=world.now - age) for name, priority, age in wanted]
        world.submit(*rows)
        limits = dict(zip(TYPES, free, strict=True))
        left = dict(limits)
        expected: list[str] = []
        for row in sorted(rows, key=lambda row: rank(row.due_at, row.priority, AGING)):
            if left[row.task_type] and len(expected) < slots:
                left[row.task_type] -= 1
                expected.append(row.task_id)
        assert ids(world.claim(claim.Room("coroutine", slots, limits))) == expected
        transaction.rollback()


def suspects(world: World, *types: str, **values: Any) -> list[str]:
    submitted = world.submitted(*types, **values)
    for task_id in submitted:
        world.set(task_id, alone=1)
    return submitted


def test_a_suspect_waits_until_the_node_is_idle_and_keeps_others_from_starting(world: World) -> None:
    (suspect,) = suspects(world, "mail")
    world.submitted("report")
    assert world.claim_all(idle=False) == claim.Claim([], alone_waits=True)
    found = world.claim_all(idle=True)
    assert (ids(found.tasks), found.alone_waits) == ([suspect], False)
    assert found.tasks[0].alone == 1
    assert found.tasks[0].attempt == 1
    assert world.gauges() == world.counts()


def test_suspects_run_one_at_a_time_in_rank_order(world: World) -> None:
    late, early = suspects(world, "mail", due=world.now), suspects(world, "report", due=world.now - 1)
    assert ids(world.claim(idle=True)) == early
    assert ids(world.claim(idle=True)) == late


def test_a_suspect_that_may_not_run_here_stops_nobody(world: World) -> None:
    suspects(world, *["unknown"] * 150)
    suspects(world, "mail", lane="thread")
    suspects(world, "mail", expires_at=world.now)
    suspects(world, "mail", due=world.now + 60)
    (report,) = world.submitted("report")
    assert ids(world.claim(idle=False)) == [report]


def test_a_suspect_is_found_behind_many_that_may_not_run_here(world: World) -> None:
    suspects(world, *["unknown"] * 150)
    (mine,) = suspects(world, "mail")
    assert ids(world.claim(idle=True)) == [mine]


def test_promoting_gives_due_tasks_their_rank_in_batches(world: World) -> None:
    submitted = world.submitted(*["mail"] * 5, due=world.now + 10)
    assert world.promote() == 0
    world.now += 10
    assert [world.promote(most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert ids(world.claim()) == submitted


def test_a_thousand_retries_due_at_one_instant_come_in_batches_and_in_order(world: World) -> None:
    rows = world.running(1000)
    world.settle(*(world.change(row, Transition.RETRY) for row in rows))
    world.now += 10
    assert [world.promote(most=400) for _ in range(4)] == [400, 400, 200, 0]
    again = world.claim()
    assert ids(again) == ids(rows)
    assert {(row.attempt, row.retry_count, row.claimed_as) for row in again} == {(2, 1, "retrying")}


def test_the_earliest_due_is_promoted_first(world: World) -> None:
    later, sooner = world.submitted("mail", due=world.now + 2), world.submitted("mail", due=world.now + 1)
    world.now += 5
    world.promote(most=1)
    assert ids(world.claim()) == sooner
    world.promote(most=1)
    assert ids(world.claim()) == later


def test_the_next_due_time_is_the_first_start_or_expiry(world: World) -> None:
    assert claim.next_due(world.connection) is None
    world.submitted("mail")
    assert claim.next_due(world.connection) is None
    world.submitted("mail", due=world.now + 9)
    assert claim.next_due(world.connection) == world.now + 9
    world.submitted("mail", expires_at=world.now + 4)
    assert claim.next_due(world.connection) == world.now + 4


def test_what_has_ended_or_runs_is_never_due(world: World) -> None:
    world.cancel(*world.submitted("mail", due=world.now + 1, expires_at=world.now + 2))
    world.running(expires_at=world.now + 3)
    assert claim.next_due(world.connection) is None
    world.now += 10
    assert (world.promote(), world.expire()) == (0, [])


def test_two_nodes_claim_different_tasks_at_the_same_time(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        World(connection).submitted(*["mail"] * 4)
    with postgres_engine.connect() as one, postgres_engine.connect() as other:
        first, second = World(one).claim(room(2)), World(other, node="node-2").claim(room(2))
        assert len(first) == len(second) == 2
        assert not set(ids(first)) & set(ids(second))


@pytest.mark.parametrize("types", [1, 3])
def test_blocked_and_future_tasks_at_the_head_of_the_queue_are_not_touched(world: World, types: int) -> None:
    blocked = [world.new("paused", due=world.now - 5000) for _ in range(2000)]
    future = [world.new("mail", due=world.now + 5000) for _ in range(2000)]
    world.submit(*blocked, *future)
    submitted = world.submitted(*["mail"] * 20)
    plan = explained(world, claim._claim_statement(types), types)
    assert "actors_task_claim" in plan
    assert not reads_whole_table(plan)
    assert ids(world.claim(room(5))) == submitted[:5]


@pytest.mark.parametrize(
    "statement", [claim._promote, claim._first_due, claim._first_expiry, claim._suspects, leases._left]
)
def test_what_is_asked_again_and_again_or_at_a_restart_reads_only_its_index(world: World, statement: Any) -> None:
    world.submit(*(world.new("mail") for _ in range(2000)), *(world.new(due=world.now + 9) for _ in range(100)))
    assert not reads_whole_table(explained(world, statement))


def explained(world: World, statement: Any, types: int = 1) -> str:
    """The database's plan for *statement*."""
    values = {"by": "node-1", "now": world.now, "of": "coroutine", "most": 5, "until": world.now, "aging": AGING}
    values |= {f"type_{number}": "mail" for number in range(types)} | {f"most_{n}": 5 for n in range(types)}
    sql, reorder = statement._for(world.connection.dialect)
    row = tuple(values[name] for name in statement._names)
    row = reorder(row) if reorder else row
    if world.connection.dialect.name == "postgresql":
        world.connection.exec_driver_sql("ANALYZE actors_task")
        found = world.connection.exec_driver_sql("EXPLAIN " + sql, row)
        return "\n".join(line for (line,) in found)
    return "\n".join(line[3] for line in world.connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, row))


def reads_whole_table(plan: str) -> bool:
    lines = [line for line in plan.splitlines() if "actors_task" in line]
    return any("Seq Scan" in line or ("SCAN" in line and "INDEX" not in line) for line in lines)

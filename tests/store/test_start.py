from __future__ import annotations

import pytest

from actors.core.lifecycle import Transition
from actors.core.request import Claimed, NewTask, Receipt
from actors.store import leases, rollups, tasks
from tests.store.world import World


def start(world: World, *rows: NewTask) -> tuple[list[Receipt], list[Claimed]]:
    return world.counted(lambda tally: tasks.start(world.connection, rows, world.node, world.now, tally))


def created(receipts: list[Receipt]) -> list[bool]:
    return [receipt.created for receipt in receipts]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_what_was_started_is_leased_like_what_was_claimed(world: World, count: int) -> None:
    world.submitted("mail")
    rows = [world.new("report", metadata='{"a": 1}', soft_timeout_seconds=1.5) for _ in range(count)]
    receipts, started = start(world, *rows)
    assert receipts == [Receipt(row.task_id, created=True) for row in rows]
    assert [task.task_id for task in started] == [row.task_id for row in rows]
    assert leases.held_by(world.connection, world.node) == [(task.seq, 1) for task in started]
    stored = world.get(rows[-1].task_id)
    assert (stored.status.value, stored.attempt, stored.node) == ("running", 1, "node-1")
    assert stored.started_at is not None
    assert stored.started_at.timestamp() == world.now


def test_it_brings_what_a_claim_would_have_brought(world: World) -> None:
    new = world.new("report", priority=20, key="k", metadata='{"a": 1}', expires_at=world.now + 9)
    _, (started,) = start(world, new)
    world.give_back((started.seq, started.attempt))
    (again,) = world.claim()
    assert again == started._replace(attempt=2)


def test_what_was_started_is_claimed_by_nobody_and_can_end(world: World) -> None:
    _, (started,) = start(world, world.new())
    assert world.claim() == []
    assert world.promote() == 0
    world.settle(world.change(started, Transition.COMPLETE))
    assert world.statuses([started.task_id]) == ["completed"]
    assert world.gauges() == world.counts() == {"completed": 1}


def test_it_is_counted_as_submitted_and_started(world: World) -> None:
    start(world, world.new(), world.new(), world.new("report"))
    assert world.gauges() == world.counts() == {"running": 3}
    assert rollups.flows(world.connection) == {"submitted": 3, "started": 3}


@pytest.mark.parametrize("others", [0, 30])
def test_an_id_that_is_there_is_neither_created_nor_started(world: World, others: int) -> None:
    (waits,) = world.submitted("mail")
    twin = world.new()._replace(task_id=waits)
    rows = [twin, *(world.new() for _ in range(others))]
    receipts, started = start(world, *rows)
    assert created(receipts) == [False] + [True] * others
    assert [task.task_id for task in started] == [row.task_id for row in rows[1:]]
    assert dict(leases.held_by(world.connection, world.node)) == {task.seq: 1 for task in started}
    assert world.statuses([waits]) == ["pending"]


def test_a_key_that_is_taken_is_neither_created_nor_started(world: World) -> None:
    (holder,) = world.submitted("mail", key="k")
    free = world.new(key="free")
    receipts, started = start(world, world.new(key="k"), free)
    assert receipts == [Receipt(holder, created=False), Receipt(free.task_id, created=True)]
    assert [task.task_id for task in started] == [free.task_id]
    assert world.gauges() == world.counts() == {"pending": 1, "running": 1}


def test_an_id_or_a_key_that_comes_twice_at_once_starts_once(world: World) -> None:
    new, keyed = world.new(), world.new(key="k")
    receipts, started = start(world, new, keyed, new, world.new(key="k"))
    assert created(receipts) == [True, True, False, False]
    assert receipts[3].task_id == keyed.task_id
    assert [task.task_id for task in started] == [new.task_id, keyed.task_id]
    assert world.gauges() == world.counts() == {"running": 2}


def test_of_one_id_twice_at_once_whichever_is_not_barred_by_its_key_starts(world: World) -> None:
    world.submitted("mail", key="k")
    barred = world.new(key="k", input_data='"barred"')
    other = world.new(input_data='"other"')._replace(task_id=barred.task_id)
    receipts, (task,) = start(world, barred, other)
    assert created(receipts) == [False, True]
    assert task.input_data == '"other"'


@pytest.mark.parametrize("count", [1, 20])
def test_a_repeated_write_recognises_itself_and_counts_once(world: World, count: int) -> None:
    rows = [world.new() for _ in range(count)]
    first = start(world, *rows)
    world.submitted("report")
    assert start(world, *rows) == first
    assert world.gauges() == world.counts() == {"running": count, "pending": 1}
    assert rollups.flows(world.connection) == {"submitted": count + 1, "started": count}


def test_a_repeated_write_does_not_start_again_what_has_ended_or_runs_elsewhere(world: World) -> None:
    done, gone, runs = world.new(), world.new(), world.new()
    _, (first, second, third) = start(world, done, gone, runs)
    world.settle(world.change(first, Transition.COMPLETE))
    world.give_back((second.seq, 1))
    assert World(world.connection, "node-2").claim()[0].task_id == gone.task_id
    receipts, started = start(world, done, gone, runs)
    assert created(receipts) == [True, True, True]
    assert started == [third]


def test_a_key_whose_holder_ended_meanwhile_starts_its_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    new = world.new(key="k")
    monkeypatch.setattr(tasks, "_put", lambda *_: ([False], {}))
    receipts, (started,) = start(world, new)
    assert receipts == [Receipt(new.task_id, created=True)]
    assert leases.held_by(world.connection, world.node) == [(started.seq, 1)]
    assert rollups.flows(world.connection) == {"submitted": 1, "started": 1}


def test_starting_nothing_stores_nothing(world: World) -> None:
    assert start(world) == ([], [])
    assert world.counts() == {}

"""Batches on PostgreSQL, whose rows travel as arrays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, DBAPIError

from actors.core.lifecycle import Transition
from actors.store import bulk
from actors.store.bulk import array
from actors.store.faults import of_the_data
from actors.store.settle import Settled
from tests.store.statements import statements_noted
from tests.store.world import World

ODD = (
    "", "NULL", "null", " both ends ", "{}", '{"a":"b\\\\c"}', '"', "\\", '\\"', "a,b", "%s %",
    "line\nline\ttab", "ü 你 🎉", "$1", "'", "\u00a0\u2028",
)  # fmt: skip


def test_texts_of_a_batch_are_stored_to_the_letter(world: World) -> None:
    rows = [world.new(key=text, metadata=None if text == "NULL" else text, input_data=text) for text in ODD]
    assert all(receipt.created for receipt in world.submit(*rows))
    claimed = {row.task_id: row for row in world.claim()}
    assert [claimed[row.task_id].input_data for row in rows] == list(ODD)
    assert [claimed[row.task_id].metadata for row in rows] == [row.metadata for row in rows]


def test_numbers_of_a_batch_are_stored_to_the_last_bit(world: World) -> None:
    times = [1_700_000_000.1 + number / 3e6 for number in range(20)] + [0.1, 1e-300, 1e300]
    rows = [world.new(created_at=time, nonce=(-1) ** place * (2**63 - 1 - place)) for place, time in enumerate(times)]
    world.submit(*rows)
    assert [receipt.created for receipt in world.submit(*rows)] == [True] * len(rows)  # by their nonces
    claimed = {row.task_id: row.created_at for row in world.claim()}
    assert [claimed[row.task_id] for row in rows] == times


def test_tasks_of_a_batch_are_numbered_in_its_order(world: World) -> None:
    rows = [world.new() for _ in range(200)]
    world.submit(*rows)
    claimed = sorted(world.claim(), key=lambda row: row.seq)
    assert [row.task_id for row in claimed] == [row.task_id for row in rows]


def test_an_outcome_that_comes_twice_in_a_batch_is_stored_once(world: World) -> None:
    changes = [world.change(row, Transition.COMPLETE) for row in world.running(20)]
    results = world.settle(*changes, *changes[:10])
    assert results.count(Settled.STORED) == 20
    assert results.count(Settled.STORED_BEFORE) == 10
    assert world.gauges() == world.counts() == {"completed": 20}


def test_outcomes_of_a_batch_are_refused_one_by_one(world: World) -> None:
    rows = world.running(30)
    world.cancel(*(row.task_id for row in rows[:10]))
    changes = [world.change(row, Transition.COMPLETE) for row in rows]
    late = [world.change(row, Transition.COMPLETE, attempt=0) for row in rows[20:]]
    results = world.settle(*changes[:20], *late)
    assert results == [Settled.CANCELLED] * 10 + [Settled.STORED] * 10 + [Settled.FENCED] * 10
    assert world.gauges() == world.counts() == {"cancelled": 10, "completed": 10, "running": 10}


def test_a_batch_that_is_too_large_goes_in_parts(postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LARGEST", 3000)
    with postgres_engine.begin() as connection:
        world = World(connection)
        rows = [world.new(input_data="x" * 100) for _ in range(100)]
        world.submit(*rows[::2])
        with statements_noted(monkeypatch) as noted:
            receipts = world.submit(*rows, rows[0]._replace(nonce=-1))
        assert [receipt.created for receipt in receipts] == [True] * 100 + [False]
        assert 4 < len([sql for sql, _ in noted if sql.startswith("INSERT INTO actors_task ")]) < 40
        results = world.settle(*(world.change(row, Transition.COMPLETE) for row in world.claim()))
        assert results == [Settled.STORED] * 100
        assert world.gauges() == world.counts() == {"completed": 100}


@pytest.mark.parametrize(
    "bad",
    [
        {"input_data": "half \ud800"},
        {"metadata": "nul \0"},
        {"nonce": 2**63},
        {"priority": 2**31},
        {"task_id": "x" * 37},
    ],
    ids=str,
)
def test_a_value_that_no_server_takes_is_blamed_for_the_batch(postgres_engine: Engine, bad: dict[str, Any]) -> None:
    with postgres_engine.connect() as connection:
        world = World(connection)
        rows = [world.new(), world.new(**bad), world.new()]
        with pytest.raises((DataError, UnicodeError)) as caught, connection.begin():
            world.submit(*rows)
        assert of_the_data(caught.value)
        with connection.begin():
            assert world.counts() == {}


def test_an_error_of_a_batch_names_none_of_its_values(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection:
        world = World(connection)
        rows = [world.new(input_data="a secret", priority=2**31) for _ in range(3)]
        with pytest.raises(DBAPIError) as caught:
            world.submit(*rows)
    assert "INSERT INTO actors_task" in str(caught.value)
    assert "a secret" not in str(caught.value)


def test_what_is_no_text_and_no_number_goes_into_no_array() -> None:
    with pytest.raises(TypeError, match=r"a row of a batch has a dict; it should have texts and numbers"):
        array([None, {"a": 1}])

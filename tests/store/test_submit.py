from __future__ import annotations

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from actors.core.lifecycle import Transition
from actors.core.request import Receipt
from actors.store import rollups, tasks
from tests.store.world import World


def test_a_stored_task_reads_back_as_it_was_submitted(world: World) -> None:
    new = world.new("report", priority=20, key="k", metadata='{"user": "ü\\u0000"}', input_data='{"n": 1}',
                    expires_at=world.now + 5, soft_timeout_seconds=1.5)  # fmt: skip
    assert world.submit(new) == [Receipt(new.task_id, created=True)]
    task = world.get(new.task_id)
    assert (task.task_type, task.status.value, task.priority, task.key) == ("report", "pending", 20, "k")
    assert (task.input_data, task.metadata) == ({"n": 1}, {"user": "ü\0"})
    assert (task.created_at.timestamp(), task.due_at.timestamp()) == (world.now, world.now)
    assert task.expires_at is not None
    assert (task.timeout_seconds, task.soft_timeout_seconds, task.attempt, task.retry_count) == (300.0, 1.5, 0, 0)


def test_an_empty_batch_stores_nothing(world: World) -> None:
    assert world.submit() == []
    assert world.counts() == {}


def test_a_second_submit_of_an_id_is_the_same_task(world: World) -> None:
    first = world.new(input_data='{"n": 1}')
    again = world.new(input_data='{"n": 2}')._replace(task_id=first.task_id)
    world.submit(first)
    assert world.submit(again) == [Receipt(first.task_id, created=False)]
    assert world.get(first.task_id).input_data == {"n": 1}


def test_a_repeated_write_of_one_submit_recognises_itself_and_counts_once(world: World) -> None:
    new = world.new()
    world.submit(new)
    assert world.submit(new) == [Receipt(new.task_id, created=True)]
    assert world.gauges() == world.counts() == {"pending": 1}


def test_one_id_twice_in_a_batch_is_created_once(world: World) -> None:
    new = world.new()
    assert [receipt.created for receipt in world.submit(new, new)] == [True, False]
    assert world.gauges() == world.counts() == {"pending": 1}


def test_a_key_is_unique_among_living_tasks_of_one_type(world: World) -> None:
    (first,) = world.submitted("mail", key="user-1")
    assert world.submit(world.new("mail", key="user-1")) == [Receipt(first, created=False)]
    assert world.submit(world.new("report", key="user-1"))[0].created
    assert world.submit(world.new("mail", key="user-2"))[0].created
    assert world.gauges() == world.counts() == {"pending": 3}


@pytest.mark.parametrize("transition", [Transition.COMPLETE, Transition.FAIL, Transition.TIME_OUT, Transition.CANCEL])
def test_a_key_is_free_again_after_the_end(world: World, transition: Transition) -> None:
    (row,) = world.running(key="user-1")
    assert not world.submit(world.new(key="user-1"))[0].created
    world.settle(world.change(row, transition))
    assert world.submit(world.new(key="user-1"))[0].created


def test_a_key_stays_taken_while_its_task_waits_for_a_retry(world: World) -> None:
    (row,) = world.running(key="user-1")
    world.settle(world.change(row, Transition.RETRY))
    assert world.submit(world.new(key="user-1")) == [Receipt(row.task_id, created=False)]
    world.now += 20
    world.promote()
    assert [again.task_id for again in world.claim()] == [row.task_id]


def test_a_batch_with_taken_ids_and_keys_stores_all_the_others(world: World) -> None:
    known, keyed = world.new(), world.new(key="k")
    world.submit(known, keyed)
    twin = world.new()._replace(task_id=known.task_id)
    receipts = world.submit(world.new(), twin, world.new(key="k"), world.new())
    assert [receipt.created for receipt in receipts] == [True, False, False, True]
    assert receipts[2].task_id == keyed.task_id
    assert world.gauges() == world.counts() == {"pending": 4}


def test_a_batch_is_larger_than_a_statement_may_have_parameters(world: World) -> None:
    rows = [world.new() for _ in range(1200)]
    world.submit(*rows[::2])
    assert sum(receipt.created for receipt in world.submit(*rows)) == 1200
    assert world.gauges() == {"pending": 1200}


def test_holders_of_keys_are_looked_up_together(world: World) -> None:
    world.submitted("mail", "report", key="one")
    held = {task_type: world.submitted(task_type, key="k")[0] for task_type in ("mail", "report")}
    wanted = [world.new(task_type, key=key) for task_type in held for key in ["k", "one"] * 20]
    queries: list[str] = []

    def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    tally = rollups.Tally(world.node, world.now)
    event.listen(world.connection, "before_cursor_execute", note)
    receipts = tasks.submit(world.connection, wanted, tally)
    event.remove(world.connection, "before_cursor_execute", note)
    assert len(queries) == 3  # for the ids, and for the keys of each type
    assert [receipt.task_id for receipt in receipts[::2]] == [held["mail"]] * 20 + [held["report"]] * 20
    assert not any(receipt.created for receipt in receipts)


def test_a_key_that_came_free_meanwhile_goes_to_one_task(world: World) -> None:
    first, second = world.new(key="k"), world.new(key="k")
    holders: dict[tuple[str, str | None], str] = {}
    tally = rollups.Tally(world.node, world.now)
    receipts = [tasks._held(world.connection, row, holders, tally) for row in (first, second)]
    tally.store(world.connection)
    assert receipts == [Receipt(first.task_id, True), Receipt(first.task_id, False)]
    assert world.gauges() == world.counts() == {"pending": 1}


def test_an_id_that_came_back_meanwhile_is_the_task_that_is_there(world: World) -> None:
    (there,) = world.submitted("mail")
    again = world.new()._replace(task_id=there)
    assert world.counted(lambda tally: tasks._held(world.connection, again, {}, tally)) == Receipt(there, False)


def test_a_task_whose_rival_for_the_key_has_gone_meanwhile_goes_in(world: World) -> None:
    new = world.new(key="k")
    assert world.counted(lambda tally: tasks._held(world.connection, new, {}, tally)) == Receipt(new.task_id, True)
    assert world.gauges() == world.counts() == {"pending": 1}


def test_an_error_in_the_middle_of_a_batch_stores_none_of_it(engine: Engine) -> None:
    with engine.connect() as connection:
        world = World(connection)
        tally = rollups.Tally("node-1", world.now)
        rows = [world.new(), world.new(input_data=None)]
        with pytest.raises(Exception, match=r"input_data"), connection.begin():
            tasks.submit(connection, rows, tally)
        with connection.begin():
            assert world.counts() == {}

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine

from actors.core.lifecycle import Transition
from actors.core.retention import LARGE_BYTES, ResultNote
from actors.core.task import moment
from actors.store import cleanup, views
from tests.store.world import World

LARGE = '"' + "x" * LARGE_BYTES + '"'


def ended(world: World, transition: Transition, at: float) -> str:
    (row,) = world.running()
    world.settle(world.change(row, transition, at=at))
    return row.task_id


def test_cleanup_deletes_old_ends_with_their_attempts_and_nothing_else(world: World) -> None:
    old, young = world.now - 100, world.now - 10
    gone = [ended(world, transition, old) for transition in (Transition.COMPLETE, Transition.CANCEL)]
    kept = [ended(world, transition, old) for transition in (Transition.FAIL, Transition.TIME_OUT)]
    kept += [ended(world, Transition.COMPLETE, young), world.running()[0].task_id, *world.submitted("mail")]
    assert world.cleanup(completed_before=world.now - 50, failed_before=world.now - 500) == len(gone)
    assert world.ids_left() == set(kept)
    assert world.gauges() == world.counts()
    assert world.cleanup(0, world.now - 50) == 2
    assert views.attempts(world.connection, kept[0]) == []
    assert world.gauges() == world.counts() == {"completed": 1, "running": 1, "pending": 1}


def test_a_huge_cleanup_comes_in_batches(world: World) -> None:
    for transition in (Transition.COMPLETE, Transition.FAIL):
        world.settle(*(world.change(row, transition) for row in world.running(7)))
    later = world.now + 1
    assert [world.cleanup(later, later, most=5) for _ in range(4)] == [5, 5, 4, 0]
    assert (world.gauges(), world.counts()) == ({}, {})


def test_cleanup_does_not_read_ends_that_are_young(world: World) -> None:
    if world.connection.dialect.name == "postgresql":
        pytest.skip("PostgreSQL's planner goes by statistics; SQLite's plan is the same for every size")
    sql, _ = cleanup._old._for(world.connection.dialect)
    plan = world.connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, ("completed", 1.0, 5, 0)).all()
    assert "actors_task_ended (status=? AND completed_at<?)" in plan[0][3]


def test_seqs_are_never_reused_after_a_cleanup(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE))
    world.cleanup(world.now + 1, world.now + 1)
    assert world.running()[0].seq > row.seq


def test_an_ended_task_is_deleted_with_its_attempts(world: World) -> None:
    gone = [ended(world, transition, world.now) for transition in (Transition.FAIL, Transition.COMPLETE)]
    kept = ended(world, Transition.FAIL, world.now)
    assert world.remove(gone[0].upper(), gone[1], "no such id") == [(gone[0], "failed"), (gone[1], "completed")]
    assert world.ids_left() == {kept}
    assert world.gauges() == world.counts() == {"failed": 1}
    assert views.attempts(world.connection, gone[0]) == []
    assert world.remove(*gone) == []


def test_a_task_that_lives_is_not_deleted(world: World) -> None:
    (waiting,), (row,) = world.submitted("mail", due=world.now + 9), world.running()
    assert world.remove(waiting, row.task_id) == [(waiting, "pending"), (row.task_id, "running")]
    assert world.gauges() == world.counts() == {"pending": 1, "running": 1}


def completed(world: World, result: str, at: float) -> str:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE, at=at, result=result))
    return row.task_id


def test_a_note_takes_the_place_of_a_large_result_that_is_old(world: World) -> None:
    old, young = completed(world, LARGE, world.now - 10), completed(world, LARGE, world.now)
    small = completed(world, '"x"', world.now - 10)
    assert cleanup.remove_results(world.connection, world.now - 5, world.now) == 1
    note = world.get(old).result_data
    assert isinstance(note, ResultNote)
    assert (note.size, note.removed_at) == (len(LARGE), moment(world.now))
    assert "65,538 bytes" in note
    assert "TASK_LARGE_RESULT_DAYS" in note
    assert world.get(young).result_data == "x" * LARGE_BYTES
    assert world.get(small).result_data == "x"
    assert world.gauges() == world.counts() == {"completed": 3}


def test_the_length_counts_in_bytes(world: World) -> None:
    exactly = completed(world, '"' + "é" * ((LARGE_BYTES - 2) // 2) + '"', world.now)
    over = completed(world, '"' + "é" * (LARGE_BYTES // 2) + '"', world.now)
    assert cleanup.remove_results(world.connection, world.now + 1, world.now) == 1
    assert not isinstance(world.get(exactly).result_data, ResultNote)
    assert isinstance(world.get(over).result_data, ResultNote)


def test_large_results_go_in_batches_and_a_note_is_not_removed_again(world: World) -> None:
    for _ in range(5):
        completed(world, LARGE, world.now - 10)
    removed = [cleanup.remove_results(world.connection, world.now, world.now, most=2) for _ in range(4)]
    assert removed == [2, 2, 1, 0]


def test_large_results_are_found_without_a_look_at_the_small_ones(world: World) -> None:
    postgres = world.connection.dialect.name == "postgresql"
    if postgres:  # which goes by what it knows of the rows
        world.settle(*(world.change(row, Transition.COMPLETE) for row in world.running(300)))
        world.connection.exec_driver_sql("ANALYZE actors_task")
    sql, reorder = cleanup._large._for(world.connection.dialect)
    given = (world.now + 1, 50) if reorder is None else reorder((world.now + 1, 50))
    explain = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
    plan = world.connection.exec_driver_sql(explain + sql, given).all()
    assert any("actors_task_large" in str(row[-1]) for row in plan)


def test_one_node_leads_at_a_time_and_its_lead_ends_with_the_transaction(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as first, postgres_engine.connect() as second:
        for end_well in (True, False):
            with first.begin() as transaction:
                assert cleanup.lead(first)
                assert cleanup.lead(first)
                with second.begin():
                    assert not cleanup.lead(second)
                if not end_well:
                    transaction.rollback()
            with second.begin():
                assert cleanup.lead(second)


def test_whoever_writes_leads_where_writers_take_turns_anyway(world: World) -> None:
    assert cleanup.lead(world.connection)
    assert cleanup.lead(world.connection)


def test_two_leaders_that_clean_up_at_once_delete_and_count_nothing_twice(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        world = World(connection)
        world.settle(*(world.change(row, Transition.COMPLETE) for row in world.running(40)))

    def clean(_: int) -> list[int]:
        with postgres_engine.connect() as connection:
            node, removed = World(connection), [-1]
            while removed[-1]:
                with connection.begin():
                    removed.append(node.cleanup(node.now + 1, node.now + 1, most=7))
            return removed[1:]

    with ThreadPoolExecutor(2) as threads:
        assert sum(map(sum, threads.map(clean, range(2)))) == 40
    with postgres_engine.begin() as connection:
        assert World(connection).gauges() == World(connection).counts() == {}


def test_two_leaders_that_remove_large_results_at_once_put_one_note_in_the_place_of_each(
    postgres_engine: Engine,
) -> None:
    with postgres_engine.begin() as connection:
        world = World(connection)
        tasks = [completed(world, LARGE, world.now - 10) for _ in range(12)]

    def remove(connection: Connection) -> int:
        return cleanup.remove_results(connection, world.now, world.now, most=6)

    with postgres_engine.connect() as one, postgres_engine.connect() as other:
        with one.begin(), other.begin():
            assert (remove(one), remove(other)) == (6, 6)
        with one.begin():
            assert remove(one) == 0
            notes = [World(one).get(task_id).result_data for task_id in tasks]
    assert {type(note) for note in notes} == {ResultNote}

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from actors.store import schema
from actors.store.faults import passing
from actors.store.prepared import Prepared
from tests.store.statements import statements_noted
from tests.store.world import World


@pytest.mark.parametrize("broken", range(13))
def test_a_batch_tells_which_of_its_rows_took(world: World, broken: int) -> None:
    rows = world.running(40)
    statement = statement_on_running()
    wanted = [(row.seq if index % 13 != broken else -1,) for index, row in enumerate(rows)]
    assert statement.run_each(world.connection, wanted) == [seq > 0 for (seq,) in wanted]


@pytest.mark.parametrize("known", [True, False])
def test_a_batch_of_one_kind_is_run_once(world: World, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [(row.seq if known else -row.seq,) for row in world.running(40)]
    statement = statement_on_running()
    with statements_noted(monkeypatch) as noted:
        assert statement.run_each(world.connection, wanted) == [known] * 40
    assert len([sql for sql, _ in noted if sql.startswith("UPDATE")]) == 1


def test_on_a_server_a_mixed_batch_is_run_once_too(postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_engine.begin() as connection:
        rows = World(connection).running(40)
        wanted = [(row.seq * (-1) ** index,) for index, row in enumerate(rows)]
        with statements_noted(monkeypatch) as noted:
            assert statement_on_running().run_each(connection, wanted) == [seq > 0 for (seq,) in wanted]
    assert len(noted) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_a_batch_tells_how_many_rows_it_changed(world: World, count: int) -> None:
    seqs = [(row.seq,) for row in world.running(40)]
    assert statement_on_running().run_many(world.connection, seqs[:count]) == count


def statement_on_running() -> Prepared:
    return Prepared(
        lambda _: update(schema.task).where(schema.task.c.seq == bindparam("this")).values(cancel_requested=1),
        ("this",),
    )


def test_a_lost_connection_is_said_and_replaced(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection, postgres_engine.connect() as other:
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.rollback()
        other.exec_driver_sql(f"SELECT pg_terminate_backend({process}, 5000)")
        with pytest.raises(DBAPIError) as caught, connection.begin():
            statement_on_running().run(connection, (1,))
        assert caught.value.connection_invalidated
        assert passing(caught.value)
        with connection.begin():
            assert statement_on_running().run(connection, (1,)) == 0


def test_an_error_names_the_statement_and_none_of_its_values(world: World) -> None:
    with pytest.raises(DBAPIError) as caught:
        statement_on_running().run(world.connection, ({"a secret": 1},))
    assert "UPDATE actors_task" in str(caught.value)
    assert "a secret" not in str(caught.value)


def test_an_error_that_is_none_of_the_driver_is_left_as_it_is(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        statement_on_running().run_many(world.connection, Broken())


class Broken(list[Any]):
    """Rows that cannot be made."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError

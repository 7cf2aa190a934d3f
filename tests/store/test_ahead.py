"""What goes to a PostgreSQL server along with other statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DataError, DBAPIError

from actors.store import ahead, nodes, rollups, schema
from actors.store.engine import make_engine
from actors.store.rollups import Tally
from tests.store.world import NOW

LARGEST = 2**63 - 1
PING = ";"
"""By which the pool finds out whether a connection still works."""


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(postgres_url)
    with engine.begin() as connection:
        schema.create(connection)
        nodes.register(connection, "node-1", NOW, NOW + 15, working=True)
    yield engine
    engine.dispose()


@pytest.fixture
def trips(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went to the server, a text for each round trip."""
    import psycopg

    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def note(cursor: Any, query: Any, *given: Any, **options: Any) -> Any:
        if query != PING:
            sent.append(query)
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    return sent


def count(connection: Connection, *amounts: int) -> None:
    """Count what waits for the commit, in one row of the counters for each of *amounts*."""
    tally = Tally("node-1", NOW)
    for number, amount in enumerate(amounts):
        tally.moved("mail", None, f"state-{number}", amount)
    tally.store(connection)


def counted(engine: Engine) -> int:
    with engine.begin() as connection:
        return rollups.by_type(connection).get("mail", 0)


def test_a_transaction_that_does_nothing_says_nothing(engine: Engine, trips: list[str]) -> None:
    with engine.begin():
        pass
    with engine.connect() as connection:
        connection.begin().rollback()
    assert trips == []


@pytest.mark.parametrize("amounts", [(1,), (1, 2)])
def test_what_is_put_off_goes_with_the_begin_and_the_commit(
    engine: Engine, trips: list[str], amounts: tuple[int, ...]
) -> None:
    with engine.begin() as connection:
        count(connection, *amounts)
        assert trips == []
    (sent,) = trips
    assert sent.startswith("BEGIN")
    assert sent.endswith("COMMIT")
    assert counted(engine) == sum(amounts)


def test_a_node_looks_for_itself_in_the_trip_that_begins_the_transaction(engine: Engine, trips: list[str]) -> None:
    with engine.begin() as connection:
        assert nodes.present(connection, "node-1")
        assert not nodes.present(connection, "node-2")
        assert len(trips) == 2
    assert len(trips) == 2, "the driver commits what had nothing put off"


def test_the_next_statement_sees_what_was_put_off_before_it(engine: Engine, trips: list[str]) -> None:
    with engine.begin() as connection:
        count(connection, 3, 4)
        assert rollups.by_type(connection) == {"mail": 7}


def test_of_what_is_rolled_back_nothing_is_sent_and_nothing_stays(engine: Engine, trips: list[str]) -> None:
    with engine.connect() as connection:
        with connection.begin() as transaction:
            count(connection, 3)
            transaction.rollback()
        assert trips == []
        with connection.begin():
            count(connection, 1)
    assert counted(engine) == 1


def test_outside_of_a_transaction_there_is_nothing_to_wait_for(engine: Engine) -> None:
    with engine.connect() as connection:
        count(connection, 5)
        assert counted(engine) == 5


def test_a_fault_of_what_was_put_off_is_raised_by_the_commit_and_undoes_all(engine: Engine) -> None:
    with engine.begin() as connection:
        count(connection, LARGEST)
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(text("DELETE FROM actors_node"))
        count(connection, 1)
        with pytest.raises(DataError, match="bigint out of range"):
            transaction.commit()
        transaction.close()
        with connection.begin():
            assert nodes.present(connection, "node-1")
            assert not connection.invalidated


@pytest.mark.parametrize("begun", [False, True])
def test_a_connection_that_is_lost_at_the_commit_is_given_up(engine: Engine, begun: bool) -> None:
    with engine.connect() as connection, engine.connect() as other:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.rollback()
        transaction = connection.begin()
        if begun:
            assert nodes.present(connection, "node-1")
        count(connection, 1)
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DBAPIError) as caught:
            transaction.commit()
        transaction.close()
        assert caught.value.connection_invalidated
        with connection.begin():
            count(connection, 1)
    assert counted(engine) == 1


def test_on_other_connections_nothing_waits(engine: Engine) -> None:
    users_own = create_engine(engine.url)
    with users_own.connect() as connection:
        assert ahead.of(connection) is None
    users_own.dispose()

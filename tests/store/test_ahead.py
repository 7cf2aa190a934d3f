"""What goes to a PostgreSQL server along with other statements."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, InternalError

from actors.store import ahead, nodes, rollups, schema, tasks
from actors.store.engine import make_engine
from actors.store.faults import of_the_data
from actors.store.rollups import Tally
from tests.store.world import NOW, World

LARGEST = 2**63 - 1
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
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


@pytest.mark.parametrize("count", [1, 20])
def test_tasks_are_stored_and_started_in_three_trips(engine: Engine, trips: list[str], count: int) -> None:
    with engine.begin() as connection:
        world = World(connection, "node-1")
        rows, tally = [world.new() for _ in range(count)], Tally("node-1", NOW)
        assert nodes.present(connection, "node-1")
        _, started = tasks.start(connection, rows, "node-1", NOW, tally)
        tally.store(connection)
    assert [task.task_id for task in started] == [row.task_id for row in rows]
    assert len(trips) == 3


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


def test_outside_of_a_transaction_a_node_looks_for_itself_too(engine: Engine) -> None:
    with engine.connect() as connection:
        assert nodes.present(connection, "node-1")
        assert not nodes.present(connection, "node-2")


@pytest.mark.parametrize("amounts", [(1,), (1, 2)])
@pytest.mark.parametrize("name", ["half \ud800", "a NUL \0"])
def test_a_value_that_no_database_takes_is_blamed_before_it_is_put_off(
    engine: Engine, name: str, amounts: tuple[int, ...]
) -> None:
    tally = Tally("node-1", NOW)
    for number, amount in enumerate(amounts):
        tally.moved(name, None, f"state-{number}", amount)
    with engine.connect() as connection:
        with pytest.raises((DataError, UnicodeError)) as caught, connection.begin():
            tally.store(connection)
        assert of_the_data(caught.value)
        with connection.begin():
            count(connection, 1)
    assert counted(engine) == 1


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


def test_a_connection_that_is_interrupted_at_the_commit_is_used_no_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    def interrupted(cursor: Any, query: str, **_: Any) -> None:
        cursor.connection.pgconn.send_query(query.removesuffix("COMMIT").encode())
        raise KeyboardInterrupt

    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        transaction = connection.begin()
        count(connection, 1)
        monkeypatch.setattr(psycopg.Cursor, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            transaction.commit()
        monkeypatch.undo()
        transaction.close()
        assert driver.closed
    assert counted(engine) == 0


def test_on_other_connections_nothing_waits(engine: Engine) -> None:
    users_own = create_engine(engine.url)
    with users_own.connect() as connection:
        assert ahead.of(connection) is None
    users_own.dispose()


@pytest.mark.parametrize("usual", ["repeatable read", "serializable"])
def test_a_heartbeat_goes_by_what_is_committed_whatever_isolation_is_usual_there(
    engine: Engine, postgres_url: str, usual: str
) -> None:
    options = "-c default_transaction_isolation=" + usual.replace(" ", "\\ ")
    url = make_url(postgres_url).update_query_dict({"options": options})
    node = make_engine(url.render_as_string(hide_password=False))
    with engine.connect() as other, node.connect() as mine, ThreadPoolExecutor(1) as thread:
        with other.begin():
            assert nodes.bury(other, "node-1", NOW)
            beat = thread.submit(nodes.renew, mine, "node-1", NOW + 1, NOW + 16, None)
            while not other.execute(WAITING).scalar_one():
                pass
        assert beat.result() is False
    node.dispose()


def test_a_reader_sees_one_snapshot_and_refuses_writes(engine: Engine, postgres_url: str) -> None:
    reader = make_engine(postgres_url, read_only=True)
    with reader.connect() as reading:
        with reading.begin():
            assert len(nodes.peers(reading, "me")) == 1
            with engine.begin() as writing:
                nodes.register(writing, "node-2", NOW, NOW + 15, working=True)
            assert len(nodes.peers(reading, "me")) == 1
        with reading.begin():
            assert len(nodes.peers(reading, "me")) == 2
        with pytest.raises(InternalError, match="read-only transaction"), reading.begin():
            nodes.register(reading, "node-3", NOW, NOW + 15, working=True)
    reader.dispose()

"""Submitting in a transaction of the user's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import trio
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from actors import Settings, TaskRequest, TaskStatus, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, NotRunning, SchemaMismatch, UnknownTaskType
from actors.store import rollups, schema, views
from actors.store.engine import make_engine
from tests.app.world import refused
from tests.waiting import until


class Base(DeclarativeBase):
    """What the user stores."""


class Order(Base):
    """An order that is to be confirmed."""

    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def app(file_url: str, settings: Settings) -> TaskSystem:
    """A system on a file, which is not running."""
    app = TaskSystem(file_url, settings=settings)

    @app.task
    async def confirm(number: int) -> int:
        return number

    return app


def prepared(url: str) -> str:
    """*url*, whose database has the tables of both."""
    engine = make_engine(url)
    with engine.begin() as connection:
        schema.create(connection)
        Base.metadata.create_all(connection)
    engine.dispose()
    return url


@pytest.fixture
def url(any_url: str) -> str:
    """A database with the tables of both."""
    return prepared(any_url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The user's own engine, with nothing of ours set up."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def confirm(number: int = 1, **wishes: Any) -> TaskRequest:
    return TaskRequest("confirm", {"number": number}, **wishes)


class Seen:
    """What others see in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _read(self, query: Any) -> Any:
        with self._engine.connect() as connection:
            return query(connection)

    @property
    def numbers(self) -> list[int]:
        """The payloads of the tasks."""
        payloads = self._read(lambda c: c.scalars(select(schema.task.c.input_data).order_by(schema.task.c.seq)).all())
        return [json.loads(payload)["number"] for payload in payloads]

    @property
    def orders(self) -> list[int]:
        return [*self._read(lambda c: c.scalars(select(Order.number)).all())]

    @property
    def counted(self) -> int:
        """How many pending tasks the counters know of."""
        return int(self._read(rollups.by_status)["pending"])


@pytest.fixture
def seen(engine: Engine) -> Seen:
    return Seen(engine)


def test_a_connections_tasks_are_there_when_it_commits_and_not_before(
    app: TaskSystem, engine: Engine, seen: Seen
) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.insert(Order).values(number=7))
        (ticket,) = app.enqueue(connection, [confirm(7)])
        assert (seen.numbers, seen.orders, seen.counted) == ([], [], 0)
        connection.commit()
    assert (seen.numbers, seen.orders, seen.counted) == ([7], [7], 1)
    assert ticket.created


@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_they_go_with_a_rollback_however_many_there_are(
    count: int, app: TaskSystem, engine: Engine, seen: Seen
) -> None:
    with engine.connect() as connection:
        app.enqueue(connection, [confirm(number) for number in range(count)])
        connection.rollback()
        assert seen.numbers == []
        app.enqueue(connection, [confirm(number) for number in range(count)])
        connection.commit()
    assert seen.numbers == [*range(count)]
    assert seen.counted == count


def test_a_block_that_raises_takes_them_back(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    def fail() -> None:
        with engine.begin() as connection:
            app.enqueue(connection, [confirm()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (seen.numbers, seen.counted) == ([], 0)


def test_an_orm_session_is_taken_with_its_own_transaction(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    with Session(engine) as session:
        session.add(Order(number=1))
        app.enqueue(session, [confirm(1)])
        session.rollback()
        session.add(Order(number=2))
        app.enqueue(session, [confirm(2)])
        session.commit()
    assert (seen.numbers, seen.orders) == ([2], [2])


def test_a_scoped_session_and_a_savepoint_of_the_users_are_taken(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    sessions = scoped_session(sessionmaker(engine))
    sessions.add(Order(number=1))
    sessions.flush()
    app.enqueue(sessions, [confirm(1)])
    savepoint = sessions.begin_nested()
    app.enqueue(sessions, [confirm(2)])
    savepoint.rollback()
    sessions.commit()
    sessions.remove()
    assert seen.numbers == [1]
    assert seen.counted == 1


@pytest.mark.parametrize("level", ["manual", "immediate"])
def test_an_sqlite_engine_that_begins_its_transactions_itself_is_taken(
    level: str, app: TaskSystem, file_url: str
) -> None:
    engine = create_engine(prepared(file_url))
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    words = {"manual": "BEGIN", "immediate": "BEGIN IMMEDIATE"}[level]
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(words))
    with engine.connect() as connection:
        app.enqueue(connection, [confirm(number) for number in range(20)])
        connection.rollback()
        app.enqueue(connection, [confirm(number) for number in range(20)])
        connection.commit()
    assert Seen(engine).numbers == [*range(20)]
    engine.dispose()


@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg", "psycopg_async"])
def test_an_async_session_is_taken_through_run_sync(
    driver: str, app: TaskSystem, request: pytest.FixtureRequest, file_url: str
) -> None:
    url = prepared(file_url if driver == "aiosqlite" else request.getfixturevalue("postgres_url"))

    async def use() -> None:
        name = "sqlite" if driver == "aiosqlite" else "postgresql"
        engine = create_async_engine(sqlalchemy.make_url(url).set(drivername=f"{name}+{driver}"), poolclass=NullPool)
        async with AsyncSession(engine) as session:
            session.add(Order(number=1))
            await session.run_sync(app.enqueue, [confirm(number) for number in range(10)])
            await session.rollback()
            session.add(Order(number=2))
            pairs = [confirm(number, key=str(number // 2)) for number in range(20)]
            tickets = await session.run_sync(app.enqueue, pairs)
            await session.commit()
        assert [ticket.created for ticket in tickets] == [True, False] * 10
        async with engine.begin() as connection:
            (again,) = await connection.run_sync(app.enqueue, [confirm(0, key="0")])
        assert (again.created, again.task_id) == (False, tickets[0].task_id)
        await engine.dispose()

    asyncio.run(use())
    engine = create_engine(url)
    assert (Seen(engine).numbers, Seen(engine).orders) == ([*range(0, 20, 2)], [2])
    assert Seen(engine).counted == 10
    engine.dispose()


def test_a_request_that_cannot_be_stored_stores_none(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    send, _ = trio.open_memory_channel[Any](1)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.insert(Order).values(number=7))
        with refused(UnknownTaskType, "'cofirm'", "did you mean 'confirm'?"):
            app.enqueue(connection, [confirm(), TaskRequest("cofirm")])
        with refused(InvalidPayload, "'number'"):
            app.enqueue(connection, [confirm(), TaskRequest("confirm")])
        with refused(InvalidOption, "TaskRequest"):
            app.enqueue(connection, [confirm(), "confirm"])  # type: ignore[list-item]
        with refused(InvalidOption, "reply_to"):
            app.enqueue(connection, [confirm(reply_to=send)])
        assert app.enqueue(connection, []) == []
        connection.commit()
    assert (seen.numbers, seen.orders) == ([], [7])


def test_one_task_id_and_one_living_key_are_one_task(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    task_id = "01900000-0000-7000-8000-000000000000"
    with engine.begin() as connection:
        first = app.enqueue(connection, [confirm(1, task_id=task_id), confirm(2, key="k"), confirm(3)])
        again = app.enqueue(connection, [confirm(4, key="k"), confirm(5, task_id=task_id)])
    assert [ticket.created for ticket in (*first, *again)] == [True, True, True, False, False]
    assert [ticket.task_id for ticket in again] == [first[1].task_id, task_id]
    assert (seen.numbers, seen.counted) == ([1, 2, 3], 3)


def test_declared_tasks_make_the_requests(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    @app.task
    async def later(number: int) -> None: ...

    with engine.begin() as connection:
        (ticket,) = app.enqueue(connection, [later.options(delay=60, priority=20).request(number=5)])
    with engine.connect() as connection:
        task = views.get(connection, ticket.task_id)
    assert task is not None
    assert (task.task_type, task.priority) == ("later", 20)
    assert 59 < (task.due_at - task.created_at).total_seconds() < 61


def test_a_database_without_the_tables_says_so_and_the_transaction_goes_on(
    app: TaskSystem, postgres_url: str, tmp_path: Path
) -> None:
    for url in (postgres_url, f"sqlite:///{tmp_path / 'empty.db'}"):
        engine = create_engine(url)
        with engine.begin() as connection:
            Base.metadata.create_all(connection)
            with refused(SchemaMismatch, "no tables", "actors migrate"):
                app.enqueue(connection, [confirm()])
            connection.execute(sqlalchemy.insert(Order).values(number=7))
        assert Seen(engine).orders == [7]
        engine.dispose()


def test_tables_of_another_version_are_refused(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    for number in (schema.VERSION + 1, 0):
        with engine.begin() as connection:
            connection.execute(schema.version.update().values(version_num=schema.revision(number)))
            with refused(SchemaMismatch, str(number)):
                app.enqueue(connection, [confirm()])
    assert seen.numbers == []


def test_what_is_no_connection_is_refused_with_what_would_work(app: TaskSystem, engine: Engine) -> None:
    raw = engine.raw_connection()
    for wrong, *words in (
        ("sqlite:///tasks.db", "Connection or Session"),
        (engine, "engine.begin()"),
        (sessionmaker(engine), "Connection or Session"),
        (raw, "Connection or Session"),
        (AsyncSession(), "AsyncSession.run_sync(app.enqueue, requests)"),
    ):
        with refused(InvalidOption, *words):
            app.enqueue(wrong, [confirm()])  # type: ignore[arg-type]
    raw.close()


@pytest.mark.parametrize("wrong", [confirm(), None], ids=["one request", "nothing"])
def test_what_is_no_list_of_requests_is_refused(wrong: Any, app: TaskSystem, engine: Engine) -> None:
    with engine.begin() as connection, refused(InvalidOption, "requests", repr(wrong)[:20], "list"):
        app.enqueue(connection, wrong)


def test_a_connection_that_commits_every_statement_is_refused(app: TaskSystem, engine: Engine, seen: Seen) -> None:
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        refused(InvalidOption, "AUTOCOMMIT"),
    ):
        app.enqueue(connection, [confirm()])
    assert seen.numbers == []


def test_an_sqlite_driver_that_commits_every_statement_is_refused(app: TaskSystem, file_url: str) -> None:
    engine = create_engine(prepared(file_url), connect_args={"isolation_level": None})
    with engine.connect() as connection, refused(InvalidOption, "transaction"):
        app.enqueue(connection, [confirm()])
    assert Seen(engine).numbers == []
    engine.dispose()


def test_transactions_of_users_do_not_wait_for_each_other_on_a_server(app: TaskSystem, postgres_url: str) -> None:
    engine = create_engine(prepared(postgres_url), pool_size=3)
    with engine.begin() as first, engine.begin() as second, engine.begin() as third:
        for connection in (second, third):
            connection.execute(sqlalchemy.text("SET LOCAL lock_timeout = '500ms'"))
        for number, connection in enumerate((first, second, third, first, third, second)):
            app.enqueue(connection, [confirm(number)])
    assert Seen(engine).counted == 6
    engine.dispose()


async def test_a_working_node_on_the_file_notices_the_commit_and_runs_them(
    app: TaskSystem, file_url: str, settings: Settings
) -> None:
    other = TaskSystem(file_url, settings=settings)
    ran: list[int] = []

    @other.task
    async def confirm(number: int) -> None:
        ran.append(number)

    async with other.running():
        for number in range(3):
            await trio.to_thread.run_sync(_commit, app, file_url, number)
            await until(lambda: len(ran) == number + 1)  # noqa: B023  # it is called in this turn only
    assert ran == [0, 1, 2]


def _commit(app: TaskSystem, url: str, number: int) -> None:
    """Enqueue one task in a transaction of its own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        app.enqueue(connection, [confirm(number)])
    engine.dispose()


async def test_its_own_node_runs_them_and_the_tickets_wait(app: TaskSystem, file_url: str) -> None:
    async with app.running():
        engine = create_engine(file_url)
        with engine.begin() as connection:
            tickets = app.enqueue(connection, [confirm(number) for number in range(3)])
        with trio.fail_after(10):
            assert [await ticket.result() for ticket in tickets] == [0, 1, 2]
        engine.dispose()
    with refused(NotRunning):
        await tickets[0].result()


async def test_while_a_users_transaction_is_open_the_node_waits_and_then_goes_on(
    app: TaskSystem, file_url: str
) -> None:
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        engine = create_engine(file_url)
        with engine.begin() as connection:
            app.enqueue(connection, [confirm(1)])
            held.set()
            end.wait(20)
        engine.dispose()

    async with app.running(), trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, hold)
        await trio.to_thread.run_sync(held.wait)
        with trio.move_on_after(1.0) as waited:
            await app.submit(confirm(2))
        assert waited.cancelled_caught
        end.set()
        with trio.fail_after(10):
            ticket = await app.submit(confirm(3))
            await ticket.result()
            while await app.count(status=TaskStatus.COMPLETED) < 3:  # noqa: ASYNC110
                await trio.sleep(0.01)


def test_the_url_of_the_system_does_not_matter(app: TaskSystem, tmp_path: Path) -> None:
    url = prepared(f"sqlite:///{tmp_path / 'other.db'}")
    engine = create_engine(url)
    with engine.begin() as connection:
        app.enqueue(connection, [confirm(9)])
    with closing(engine.raw_connection()) as raw:
        assert raw.cursor().execute("SELECT count(*) FROM actors_task").fetchone()[0] == 1
    assert not (tmp_path / "tasks.db").exists()
    engine.dispose()

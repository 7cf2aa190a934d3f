"""A PostgreSQL server that cannot be used: one clear line, that names what is wrong and what would work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from actors import TaskContext, TaskRequest, TaskStatus, TaskSystem
from actors.errors import InvalidOption, SchemaMismatch, StorageUnavailable
from actors.store import schema
from tests.app.world import echo, refused
from tests.postgres import ENVIRONMENT


async def enter(url: str, *, work: bool = True) -> None:
    with trio.fail_after(20):
        async with TaskSystem(url).running(work=work):
            pytest.fail("it runs")


def changed(url: str, **parts: str) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]  # texts alone


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.system.opened.PATIENCE", 0.3)


@pytest.mark.parametrize("work", [True, False])
@pytest.mark.usefixtures("impatient")
async def test_a_server_that_is_not_there_is_named_without_the_password(work: bool) -> None:
    with refused(StorageUnavailable, "postgresql://user:***@127.0.0.1:1/tasks", "Connection refused"):
        await enter("postgresql://user:s3cret@127.0.0.1:1/tasks", work=work)


async def test_a_host_that_nobody_knows_is_not_waited_for() -> None:
    with refused(StorageUnavailable, "failed to resolve host 'nowhere.invalid'"):
        await enter("postgresql://user@nowhere.invalid/tasks")


async def test_a_database_that_is_not_there_is_named_at_once(postgres_url: str) -> None:
    with refused(StorageUnavailable, 'database "nothing" does not exist'):
        await enter(changed(postgres_url, database="nothing"))


async def test_a_role_that_is_not_there_is_named_at_once(postgres_url: str) -> None:
    with refused(StorageUnavailable, 'role "nobody" does not exist'):
        await enter(changed(postgres_url, username="nobody"))


@contextmanager
def password_asked_for(url: str, role: str) -> Iterator[None]:
    """Have the server ask *role* for its password, which is "right"."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        path = Path(connection.execute(text("SHOW hba_file")).scalar_one())
        rules = path.read_text()
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'right'"))
        path.write_text(f"local all {role} scram-sha-256\n{rules}")
        connection.execute(text("SELECT pg_reload_conf()"))
        try:
            yield
        finally:
            path.write_text(rules)
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.mark.skipif(ENVIRONMENT in os.environ, reason="the rules of somebody's server are not ours to change")
async def test_a_wrong_password_is_said_and_not_shown(postgres_url: str) -> None:
    url = changed(postgres_url, username="clerk", password="wr0ng")
    with password_asked_for(postgres_url, "clerk"):
        with pytest.raises(StorageUnavailable, match='password authentication failed for user "clerk"') as caught:
            await enter(url)
        assert "clerk:***@" in str(caught.value)
        cause: BaseException | None = caught.value
        while cause is not None:
            assert "wr0ng" not in str(cause)
            cause = cause.__cause__ or cause.__context__


async def test_without_its_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with refused(InvalidOption, "pip install 'trio-actors[postgres]'"):
        await enter("postgresql://user@localhost/tasks")


async def test_a_database_without_tables_is_not_looked_at_and_gets_them_from_a_node(postgres_url: str) -> None:
    app = TaskSystem(postgres_url)
    with refused(SchemaMismatch, "no tables", "a node or a submit makes them"):
        async with app.running(work=False, create=False):
            await app.count()
    async with app.running():
        assert await app.count() == 0


@pytest.mark.parametrize(
    ("number", "words"),
    [(schema.VERSION - 1, ("run: actors migrate",)), (999, ("version 999", "install a newer trio-actors"))],
)
async def test_tables_of_another_version_are_refused_with_what_to_do(
    postgres_url: str, number: int, words: tuple[str, ...]
) -> None:
    async with TaskSystem(postgres_url).running():
        pass
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(schema.version.update().values(version_num=schema.revision(number)))
    engine.dispose()
    for work in (True, False):
        with refused(SchemaMismatch, *words):
            await enter(postgres_url, work=work)


async def test_nodes_that_start_at_once_on_an_empty_database_make_its_tables_once(postgres_url: str) -> None:
    counts: list[int] = []

    async def run() -> None:
        async with TaskSystem(postgres_url).running() as app:
            counts.append(await app.count())

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(run)
    assert counts == [0] * 4


async def test_nodes_share_the_work_and_each_sees_the_others(postgres_url: str) -> None:
    first, second = TaskSystem(postgres_url), TaskSystem(postgres_url)
    ran: dict[str, int] = {}

    async def count(context: TaskContext) -> None:
        node = (await first.get(context.task_id) or pytest.fail("it is not stored")).node or ""
        ran[node] = ran.get(node, 0) + 1
        await trio.sleep(0.2)

    declared = first.register_handler("count", count, max_concurrency=1)
    second.register_handler("count", count, max_concurrency=1)
    with trio.fail_after(30):
        async with first.running(), second.running():
            for ticket in await first.submit_many([declared.request() for _ in range(8)]):
                await ticket.wait()
            assert {node.name for node in await first.nodes()} == set(ran)
            assert len(ran) == 2
            statistics = await second.statistics()
            assert statistics.by_status["completed"] == 8


async def test_a_type_that_a_node_does_not_know_is_left_to_one_that_does(postgres_url: str) -> None:
    old, new = TaskSystem(postgres_url), TaskSystem(postgres_url)
    old.register_handler("old", echo)
    wanted = new.register_handler("new", echo)
    with trio.fail_after(30):
        async with old.running(), new.running(work=False):
            ticket = await wanted.submit("x")
            await (await old.submit(TaskRequest("old", {"text": "y"}))).result()
            task = await new.get(ticket.task_id)
            assert task is not None
            assert (task.status, task.attempt) == (TaskStatus.PENDING, 0)
        async with new.running():
            assert await new.ticket(ticket.task_id).result() == "x"


async def test_a_task_is_waited_for_and_cancelled_from_another_node(postgres_url: str) -> None:
    runner, web = TaskSystem(postgres_url), TaskSystem(postgres_url)
    started = trio.Event()

    async def endless() -> None:
        started.set()
        await trio.sleep_forever()

    runner.register_handler("endless", endless)
    wanted = web.register_handler("endless", endless)
    with trio.fail_after(30):
        async with runner.running(), web.running(work=False):
            ticket = await wanted.submit()
            await started.wait()
            assert await ticket.cancel()
            assert (await ticket.wait()).status is TaskStatus.CANCELLED

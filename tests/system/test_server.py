"""A node's place at a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import PendingRollbackError

from actors.kernel import Ask
from actors.store import nodes, server
from actors.store.connection import Connection
from actors.store.faults import passing
from actors.store.nodes import Peer
from actors.system.database import ThreadedDatabase
from actors.system.opened import Opened
from actors.system.opening import Visit, opened
from actors.system.recorder import Recorder
from actors.system.server import Server
from tests.pooler import Pooler
from tests.waiting import until


@asynccontextmanager
async def entered(url: str, node: str = "node-1") -> AsyncIterator[tuple[Opened, Server]]:
    """A node that has entered, whose timers nobody starts."""
    async with opened(Visit(url, node, True, 60.0, 15.0)) as found:
        assert found.server is not None
        yield found, found.server


@pytest.fixture
def engine(postgres_url: str) -> Any:
    engine = create_engine(postgres_url, pool_size=2)
    yield engine
    engine.dispose()


def seen(engine: Engine) -> list[Peer]:
    with engine.begin() as connection:
        return list(nodes.peers(connection, "somebody else"))


def is_free(engine: Engine, key: int) -> bool:
    with engine.begin() as connection:
        return server.is_free(connection, key)


def cut_off(engine: Engine, key: int) -> None:
    """End the session that holds *key*, as an administrator or a server's restart would."""
    with engine.begin() as connection:
        who = (
            f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = {key & 0xFFFFFFFF}"
        )
        assert connection.exec_driver_sql(who).scalar_one()


async def test_a_node_holds_its_lock_from_its_first_transaction_until_it_leaves(
    postgres_url: str, engine: Engine
) -> None:
    async with entered(postgres_url) as (_, mine):
        (peer,) = seen(engine)
        assert (peer.node, peer.lock_key) == ("node-1", mine.lock_key)
        assert not is_free(engine, mine.lock_key)
    assert seen(engine) == []
    await until(lambda: is_free(engine, mine.lock_key))


async def test_two_nodes_have_different_locks(postgres_url: str) -> None:
    async with entered(postgres_url) as (_, mine), entered(postgres_url, "node-2") as (_, other):
        assert mine.lock_key != other.lock_key


async def test_a_session_that_was_cut_off_is_followed_by_one_that_holds_the_lock_too(
    postgres_url: str, engine: Engine
) -> None:
    async with entered(postgres_url) as (found, mine):
        assert isinstance(found.database, ThreadedDatabase)
        found.database.every(mine.tick)
        cut_off(engine, mine.lock_key)
        await until(lambda: not is_free(engine, mine.lock_key))
        assert not mine.in_doubt


async def test_while_an_earlier_session_holds_the_lock_what_it_was_told_last_is_in_doubt(
    postgres_url: str, engine: Engine
) -> None:
    async with entered(postgres_url) as (found, mine):
        with engine.connect() as earlier:
            cut_off(engine, mine.lock_key)
            await until(lambda: is_free(engine, mine.lock_key))
            assert server.lock(earlier, mine.lock_key)  # for one whose last COMMIT is still under way
            with pytest.raises(Exception, match=r"terminat|closed"):
                await found.database.write(mine.look)
            await found.database.write(mine.look)
            assert mine.in_doubt
            earlier.invalidate()
            await until(lambda: is_free(engine, mine.lock_key))
            await found.database.write(mine.look)
            assert not mine.in_doubt


async def test_behind_a_pooler_a_node_goes_by_its_lease_alone_and_prepares_no_statements(
    postgres_url: str, engine: Engine
) -> None:
    with Pooler(postgres_url) as pooler:
        async with entered(pooler.url) as (found, mine):
            assert mine.leases_alone
            assert [(peer.node, peer.lock_key) for peer in seen(engine)] == [("node-1", None)]
            assert is_free(engine, mine.lock_key)
            assert await found.database.write(threshold) is None
            ask: Ask[Any] = Ask()
            found.database.read(ask, threshold)
            assert await ask.reply.wait() is None


async def test_behind_a_pooler_what_was_told_last_is_in_doubt_while_an_earlier_session_claims(
    postgres_url: str, engine: Engine
) -> None:
    with Pooler(postgres_url) as pooler, engine.connect() as earlier:
        async with entered(pooler.url) as (found, mine):
            with earlier.begin():
                assert nodes.present(earlier, "node-1")
                with pytest.raises(PendingRollbackError):
                    await found.database.write(Connection.invalidate)
                assert await in_doubt(found, mine)
            assert not await in_doubt(found, mine)


async def in_doubt(found: Opened, mine: Server) -> bool:
    await found.database.write(mine.look)
    return mine.in_doubt


def threshold(connection: Connection) -> int | None:
    driver: Any = connection.connection.driver_connection
    found: int | None = driver.prepare_threshold
    return found


async def test_without_a_pooler_statements_are_prepared(postgres_url: str) -> None:
    async with entered(postgres_url) as (found, mine):
        assert not mine.leases_alone
        assert await found.database.write(threshold) == 5


async def test_rows_are_written_in_the_servers_time(postgres_url: str, engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr("time.time", lambda: 600.0)
    async with entered(postgres_url) as (found, _):
        (peer,) = seen(engine)
        with engine.begin() as connection:
            there = server.now(connection)
        assert there - 5 < peer.heartbeat_at <= found.clock.wall() <= there + 5


async def test_commits_wait_for_the_disk_whatever_the_databases_default(postgres_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {engine.url.database} SET synchronous_commit = off")
    async with entered(postgres_url) as (found, _):
        assert await found.database.write(partial(scalar, query="SHOW synchronous_commit")) == "on"


async def test_reads_see_one_snapshot_and_write_nothing(postgres_url: str) -> None:
    async with entered(postgres_url) as (found, _):
        for query, said in (("SHOW transaction_read_only", "on"), ("SHOW transaction_isolation", "repeatable read")):
            ask: Ask[Any] = Ask()
            found.database.read(ask, partial(scalar, query=query))
            with trio.fail_after(5):
                assert await ask.reply.wait() == said
        assert await found.database.write(partial(scalar, query="SHOW transaction_isolation")) == "read committed"


def scalar(connection: Connection, query: str) -> Any:
    return connection.exec_driver_sql(query).scalar_one()


async def test_a_node_records_its_handlers_on_its_own_machine_and_leaves_no_file(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with entered(postgres_url) as (found, _):
        found.recorder.enter(4, 2)
        (file,) = found_in(tmp_path)
        assert file.name == "node-1-running"
        assert Recorder(str(file)).before == {(4, 2)}
    assert found_in(tmp_path) == []


async def test_without_a_folder_for_its_record_a_node_works_all_the_same(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere" / "deeper"))
    monkeypatch.setattr("os.makedirs", _refuse)
    async with entered(postgres_url) as (found, _):
        assert found.recorder.enter(4, 2) == -1
    assert "after a crash a claim counts as a start" in caplog.text


def found_in(folder: Path) -> list[Path]:
    return list(folder.glob("*/*"))


def _refuse(*_: object, **__: object) -> None:
    raise OSError("no room")


async def test_a_session_whose_server_has_become_a_replica_is_left_for_a_new_one(postgres_url: str) -> None:
    async with entered(postgres_url) as (found, mine):
        await found.database.write(partial(run, sql="SET default_transaction_read_only = on"))
        with pytest.raises(Exception, match="read-only transaction") as caught:
            await found.database.write(mine.register)
        assert passing(caught.value) == "the server takes no writes"
        await found.database.write(mine.register)


def run(connection: Connection, sql: str) -> None:
    connection.exec_driver_sql(sql)

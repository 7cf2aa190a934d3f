"""From a URL to an open database, or to one clear line."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from actors.core.errors import (
    ActorsError,
    DatabaseInUse,
    InvalidOption,
    SchemaMismatch,
    StorageUnavailable,
)
from actors.store import leases, nodes
from actors.store.connection import Connection
from actors.store.lock import FileLock
from actors.system.database import InlineDatabase, ThreadedDatabase
from actors.system.opened import Opened
from actors.system.opening import Visit, opened
from actors.system.recorder import Recorder
from actors.system.transaction import Transaction, run
from actors.system.writes import Submit
from tests.system.world import AGING, MEMORY, World


@pytest.fixture
def unreadable(path: Path) -> Path:
    """A file that is no database, but long enough to be taken for one."""
    path.write_bytes(b"once upon a time " * 100)
    return path


def opening(url: str, *, work: bool = True, node: str = "node-1") -> AbstractAsyncContextManager[Opened]:
    return opened(Visit(url, node, work, AGING, 15.0))


async def refusal(url: str, kind: type[ActorsError], *, work: bool = True) -> str:
    """The one line with which *url* is refused."""
    with pytest.raises(kind) as caught:
        async with opening(url, work=work):
            pass
    line = str(caught.value)
    assert "\n" not in line
    return line


async def test_a_new_file_gets_its_tables_its_lock_and_its_recorder(path: Path) -> None:
    async with opening(f"sqlite:///{path}") as found:
        assert isinstance(found.database, ThreadedDatabase)
        assert found.recovery is not None
        assert found.recovery.recovered == []
        (node,) = await found.database.write(lambda connection: nodes.known(connection, 0.0))
        assert (node.name, node.working) == ("node-1", True)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert {f"tasks.db{end}" for end in ("-lock", "-running")} <= set(os.listdir(path.parent))
    FileLock(str(path)).acquire()


async def test_a_working_node_that_leaves_takes_its_row_with_it(path: Path) -> None:
    async with opening(f"sqlite:///{path}", work=False, node="clerk") as found:
        async with opening(f"sqlite:///{path}"):
            pass
        assert await found.database.write(lambda connection: nodes.known(connection, 0.0)) == []


async def test_a_row_that_cannot_be_taken_out_keeps_no_node_from_leaving(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opening(f"sqlite:///{path}") as found:
        drop = "DROP TABLE actors_node"
        await found.database.write(lambda connection: connection.exec_driver_sql(drop))
    assert "node node-1 stays in the list until its lease ends" in caplog.text


async def test_a_database_in_memory_is_inline_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opening(MEMORY) as found:
        assert isinstance(found.database, InlineDatabase)
    assert os.listdir(tmp_path) == []


async def test_two_working_nodes_on_one_file_are_refused_and_one_that_submits_is_not(path: Path) -> None:
    url = f"sqlite:///{path}"
    async with opening(url):
        line = await refusal(url, DatabaseInUse)
        assert str(os.getpid()) in line
        assert "work=False" in line
        async with opening(url, work=False, node="node-2") as second:
            assert second.recovery is None
    async with opening(url):
        pass


async def test_the_lock_is_free_after_an_opening_that_failed(unreadable: Path) -> None:
    path = unreadable
    line = await refusal(f"sqlite:///{path}", StorageUnavailable)
    assert "file is not a database" in line
    lock = FileLock(str(path))
    lock.acquire()
    lock.release()


async def test_tables_of_another_version_are_refused(path: Path) -> None:
    async with opening(f"sqlite:///{path}") as found:
        spoil = "UPDATE actors_version SET version_num = '0099'"
        await found.database.write(lambda connection: connection.exec_driver_sql(spoil))
    await refusal(f"sqlite:///{path}", SchemaMismatch)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_file_that_cannot_be_written_is_refused(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT, 0o400))
    assert "cannot be written" in await refusal(f"sqlite:///{path}", InvalidOption, work=False)


@pytest.mark.parametrize("work", [True, False])
async def test_a_folder_is_no_database(path: Path, work: bool) -> None:
    os.mkdir(path)
    assert str(path) in await refusal(f"sqlite:///{path}", InvalidOption, work=work)


@pytest.mark.parametrize("work", [True, False])
async def test_a_folder_that_is_not_there_is_named(path: Path, work: bool) -> None:
    assert "No such file or directory" in await refusal(f"sqlite:///{path}/deeper/tasks.db", InvalidOption, work=work)


async def test_what_a_dead_node_ran_is_taken_back_by_what_the_recorder_says(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="actors.system")
    url, world = f"sqlite:///{path}", World()
    now = world.clock.wall()
    rows = [world.row() for _ in range(2)]
    async with opening(url) as found:

        def claim_all(connection: Connection) -> list[tuple[int, int]]:
            transaction = Transaction(connection, "node-1", now, AGING)
            run(transaction, [Submit(rows)], world.running.rooms(), idle=True)
            return [(task.seq, task.attempt) for task in transaction.claimed]

        (ran, _) = await found.database.write(claim_all)
    recorder = Recorder(f"{path}-running")
    recorder.begin()
    recorder.enter(*ran)
    async with opening(url, node="node-2") as after:
        assert after.recorder.before == {ran}
        assert after.recovery is not None
        assert [found.seq for found in after.recovery.recovered] == [1, 2]
        assert "2 tasks were running when the node before died; they are taken over" in caplog.messages
        assert await after.database.write(lambda connection: leases.held_by(connection, "node-1")) == []


async def test_an_opening_that_fails_keeps_what_the_recorder_says_for_the_next_one(path: Path) -> None:
    url = f"sqlite:///{path}"
    async with opening(url) as found:
        found.recorder.enter(7, 2)
        spoil = "UPDATE actors_version SET version_num = '0099'"
        await found.database.write(lambda connection: connection.exec_driver_sql(spoil))
    await refusal(url, SchemaMismatch)
    assert Recorder(f"{path}-running").before == {(7, 2)}

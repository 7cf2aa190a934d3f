"""Database files: several systems on one, new ones, and those that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
import trio

from actors import TaskEventType, TaskStatus, TaskSystem
from actors.errors import (
    ActorsError,
    DatabaseInUse,
    InvalidOption,
    SchemaMismatch,
)
from actors.store import schema
from tests.app.world import HOUR, collect, echo, file_exists, refused


async def test_what_was_acknowledged_is_seen_by_another_system(file_url: str) -> None:
    working, beside = TaskSystem(file_url), TaskSystem(file_url)
    declared = working.task(echo)
    beside.task(echo)
    async with working.running(), beside.running(work=False):
        ticket = await declared.options(delay=HOUR).submit("x")
        seen = await beside.get(ticket.task_id)
        assert seen is not None
        assert (seen.status, seen.input_data) == (TaskStatus.PENDING, {"text": "x"})


async def test_a_submit_only_node_runs_nothing_and_the_working_node_notices_its_tasks(file_url: str) -> None:
    working, beside = TaskSystem(file_url), TaskSystem(file_url)
    working.task(echo)
    declared = beside.task(echo)
    async with beside.running(work=False):
        early = await declared.submit("early")
        async with working.running():
            late = await declared.submit("late")
            with trio.fail_after(5):
                assert [await early.result(), await late.result()] == ["early", "late"]
            assert beside.metrics().running_tasks == 0


async def test_a_cancel_from_another_system_reaches_the_running_task(file_url: str) -> None:
    working, beside = TaskSystem(file_url), TaskSystem(file_url)

    @working.task
    async def endless() -> None:
        started.set()
        await trio.sleep_forever()

    started = trio.Event()
    async with working.running(), beside.running(work=False):
        ticket = await endless.submit()
        await started.wait()
        assert await beside.cancel(ticket.task_id)
        with trio.fail_after(5):
            assert (await ticket.wait()).status is TaskStatus.CANCELLED


async def test_a_second_working_node_on_one_file_is_refused(file_url: str) -> None:
    first, second = TaskSystem(file_url), TaskSystem(file_url)
    async with first.running():
        with refused(DatabaseInUse, "tasks.db", "work=False"):
            async with second.running():
                await second.count()
        assert await first.count() == 0
    async with second.running():
        assert await second.count() == 0


async def test_a_new_database_file_is_private(file_url: str) -> None:
    async with TaskSystem(file_url).running():
        mode = os.stat(file_url.removeprefix("sqlite:///")).st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_a_schema_from_the_future_is_refused_with_both_versions(file_url: str) -> None:
    app = TaskSystem(file_url)
    async with app.running():
        pass
    path = file_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        (table,) = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%version'").fetchone()
        assert (
            connection.execute(f"UPDATE {table} SET version_num = '0999'").rowcount == 1
        )  # the name is the schema's own
    connection.close()
    with refused(SchemaMismatch, "version 999", f"version {schema.VERSION}"):
        async with app.running():
            pytest.fail("it runs")


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader, " * 1000)
    with pytest.raises(ActorsError) as caught:
        async with TaskSystem(f"sqlite:///{path}").running():
            pytest.fail("it runs")
    assert "letter.txt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"Dear reader, " * 1000


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused(InvalidOption, "nowhere"):
        async with TaskSystem(f"sqlite:///{tmp_path}/nowhere/tasks.db").running():
            pytest.fail("it runs")


async def test_a_password_shows_in_no_error() -> None:
    with trio.fail_after(60), pytest.raises(ActorsError) as caught:
        async with TaskSystem("postgresql://user:s3cret@127.0.0.1:1/tasks").running():
            pytest.fail("it runs")
    cause: BaseException | None = caught.value
    while cause is not None:
        assert "s3cret" not in str(cause)
        cause = cause.__cause__ or cause.__context__


async def test_events_of_a_run_on_a_file_are_told_too(file_url: str) -> None:
    app = TaskSystem(file_url)
    declared = app.task(echo)
    async with app.running(), app.events() as events:
        await declared.submit("x")
        with trio.fail_after(5):
            told = await collect(events, TaskEventType.COMPLETED)
    assert [event.type for event in told] == [
        TaskEventType.SUBMITTED, TaskEventType.STARTED, TaskEventType.COMPLETED
    ]  # fmt: skip


async def test_who_makes_nothing_is_refused_where_there_is_no_file(file_url: str) -> None:
    with refused(InvalidOption, "does not exist"):
        async with TaskSystem(file_url).running(work=False, create=False):
            pass
    assert not file_exists(file_url)


async def test_who_makes_nothing_is_refused_where_there_are_no_tables(file_url: str) -> None:
    os.close(os.open(file_url.removeprefix("sqlite:///"), os.O_CREAT))
    with refused(SchemaMismatch, "no tables"):
        async with TaskSystem(file_url).running(work=False, create=False):
            pass


async def test_who_makes_nothing_has_no_use_for_memory() -> None:
    with refused(InvalidOption, "memory"):
        async with TaskSystem("sqlite:///:memory:").running(create=False):
            pass


async def test_who_makes_nothing_uses_what_is_there(file_url: str) -> None:
    async with TaskSystem(file_url).running():
        pass
    async with TaskSystem(file_url).running(work=False, create=False) as app:
        assert await app.count() == 0

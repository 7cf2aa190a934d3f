"""A task system of a new release on a file of an older one, and the other way round."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import trio

from actors import Settings, TaskStatus, TaskSystem, schema
from actors.errors import SchemaMismatch
from actors.store import migrate
from actors.store.engine import make_engine
from tests.app.world import HOUR, echo, refused
from tests.migrations import CURRENT, NEXT, know_next_version


@pytest.fixture
async def old_task(file_url: str) -> str:
    """The id of a task on a file of this release, due in an hour."""
    app = TaskSystem(file_url)
    declared = app.task(echo)
    async with app.running(work=False):
        ticket = await declared.options(delay=HOUR).submit("kept")
    return ticket.task_id


def upgrade_beneath(url: str) -> None:
    """Upgrade while a node works, as on PostgreSQL; on a file the lock of the node would forbid it."""
    engine = make_engine(url)
    with pytest.MonkeyPatch.context() as patch, engine.begin() as connection:
        know_next_version(patch)
        migrate.upgrade(connection)
    engine.dispose()


async def test_a_working_node_upgrades_an_older_file_and_says_where_the_copy_lies(
    file_url: str, old_task: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    know_next_version(monkeypatch)
    app = TaskSystem(file_url)
    declared = app.task(echo)
    async with app.running():
        kept = await app.get(old_task)
        assert kept is not None
        assert (kept.status, kept.input_data) == (TaskStatus.PENDING, {"text": "kept"})
        with trio.fail_after(5):
            assert await (await declared.submit("new")).result() == "new"
    (copy,) = Path(file_url.removeprefix("sqlite:///")).parent.glob("*.backup")
    (told,) = [record for record in caplog.records if record.name == "actors.system"]
    assert told.levelno == logging.WARNING
    assert told.getMessage().endswith(f"were brought to version {NEXT}; the file as it was lies at {copy}")
    restored = TaskSystem(f"sqlite:///{copy}")
    restored.task(echo)
    monkeypatch.undo()
    async with restored.running(work=False):
        assert await restored.count() == 1


async def test_a_node_that_only_submits_leaves_an_older_file_alone(
    file_url: str, old_task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as future:
        know_next_version(future)
        with refused(SchemaMismatch, f"version {CURRENT}", f"version {NEXT}", "run: actors migrate"):
            async with TaskSystem(file_url).running(work=False):
                pass
    assert schema.check(file_url).found == CURRENT


async def test_an_upgrade_that_fails_is_one_line_and_the_old_release_goes_on(
    file_url: str, old_task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as future:
        know_next_version(future, "broken")
        with refused(SchemaMismatch, f"cannot be brought to version {NEXT}", "left as they were"):
            async with TaskSystem(file_url).running():
                pass
    app = TaskSystem(file_url)
    async with app.running(work=False):
        assert await app.get(old_task) is not None
    assert list(Path(file_url.removeprefix("sqlite:///")).parent.glob("*.backup")) == []


async def test_a_node_of_the_old_release_goes_on_when_the_tables_have_become_newer(file_url: str) -> None:
    app = TaskSystem(file_url, settings=Settings(max_retries=1))
    declared = app.task(echo)
    failures = iter([True, False])

    @app.task
    async def fails_once() -> str:
        if next(failures):
            raise ValueError("once")
        return "in the end"

    async with app.running():
        with trio.fail_after(20):
            assert await (await declared.submit("before")).result() == "before"
            waiting = await declared.options(delay=HOUR).submit("later")
            await trio.to_thread.run_sync(upgrade_beneath, file_url)
            assert await (await declared.submit("after")).result() == "after"
            assert await (await fails_once.submit()).result() == "in the end"
            assert await waiting.cancel()
            assert (await waiting.wait()).status is TaskStatus.CANCELLED
            assert (await app.statistics()).success_count == 3
    with refused(SchemaMismatch, f"version {NEXT}", f"knows version {CURRENT}"):
        async with app.running():
            pytest.fail("it runs")

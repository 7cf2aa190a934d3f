"""`actors.schema`: the version of a database's tables, for deployment scripts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors import schema
from actors.errors import DatabaseInUse, InvalidOption, SchemaMismatch, StorageUnavailable
from actors.store import schema as tables
from actors.store.engine import make_engine
from actors.store.lock import FileLock
from tests.migrations import CURRENT, NEXT, know_next_version


def set_version(url: str, number: int) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(tables.version.update().values(version_num=tables.revision(number)))
    engine.dispose()


def test_an_empty_database_gets_the_newest_tables(any_url: str) -> None:
    versions = schema.check(any_url)
    assert (versions.found, versions.newest, versions.due) == (None, CURRENT, True)
    done = schema.upgrade(any_url)
    assert (done.before, done.after, done.copy) == (None, CURRENT, None)
    assert schema.check(any_url).found == CURRENT
    assert not schema.check(any_url).due


def test_an_older_database_is_upgraded_once(any_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(any_url)
    know_next_version(monkeypatch)
    assert (schema.check(any_url).found, schema.check(any_url).due) == (CURRENT, True)
    done = schema.upgrade(any_url)
    assert (done.before, done.after) == (CURRENT, NEXT)
    assert (done.copy is not None and os.path.exists(done.copy)) is any_url.startswith("sqlite")
    again = schema.upgrade(any_url)
    assert (again.before, again.after, again.copy) == (NEXT, NEXT, None)


def test_a_database_of_a_later_release_is_refused_with_both_versions(any_url: str) -> None:
    schema.upgrade(any_url)
    set_version(any_url, NEXT)
    for call in (schema.check, schema.upgrade):
        with pytest.raises(SchemaMismatch, match=f"version {NEXT}; this code knows version {CURRENT}; install a newer"):
            call(any_url)


def test_a_migration_that_fails_is_one_line(any_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(any_url)
    know_next_version(monkeypatch, "broken")
    with pytest.raises(SchemaMismatch, match=f"cannot be brought to version {NEXT}") as caught:
        schema.upgrade(any_url)
    assert "\n" not in str(caught.value)
    assert schema.check(any_url).found == CURRENT


def test_a_check_makes_no_file_and_changes_none(path: Path) -> None:
    url = f"sqlite:///{path}"
    assert schema.check(url).found is None
    assert os.listdir(path.parent) == []
    path.touch()
    assert schema.check(url).found is None
    assert path.stat().st_size == 0


def test_a_file_that_a_node_works_on_is_not_upgraded_beneath_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{path}"
    schema.upgrade(url)
    lock = FileLock(str(path))
    lock.acquire()
    assert schema.upgrade(url).before == CURRENT  # nothing is due, so the node is in nobody's way
    know_next_version(monkeypatch)
    with pytest.raises(DatabaseInUse, match=f"process id {os.getpid()}; stop that one") as caught:
        schema.upgrade(url)
    assert "work=False" not in str(caught.value)
    lock.release()
    assert schema.upgrade(url).after == NEXT


def test_a_database_that_cannot_be_used_is_one_line_without_the_password(path: Path) -> None:
    path.write_bytes(b"once upon a time " * 100)
    for url in (f"sqlite:///{path}", "postgresql://user:hunter2@127.0.0.1:1/tasks"):
        with pytest.raises(StorageUnavailable, match="cannot be used") as caught:
            schema.upgrade(url)
        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_a_database_that_is_locked_is_said_to_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{path}"
    schema.upgrade(url)
    know_next_version(monkeypatch)
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.0)
    engine = make_engine(url)
    with engine.begin(), pytest.raises(StorageUnavailable, match="another process holds the write lock"):
        schema.upgrade(url)
    engine.dispose()


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(InvalidOption, match="name a file or a server"):
        schema.check("sqlite:///:memory:")


def test_the_sql_is_of_the_urls_kind_and_needs_no_database() -> None:
    assert "AUTOINCREMENT" in schema.sql("sqlite://")
    assert schema.sql("sqlite://").startswith(f"-- actors, sqlite: from nothing to version {CURRENT}\n")
    assert "BIGSERIAL" in schema.sql("postgresql://user:hunter2@nowhere.invalid/tasks")
    assert "hunter2" not in schema.sql("postgresql://user:hunter2@nowhere.invalid/tasks")


def test_the_sql_may_begin_at_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    know_next_version(monkeypatch)
    step = schema.sql("postgresql://", since=CURRENT)
    assert f"-- actors, postgresql: from version {CURRENT} to version {NEXT}" in step
    assert "ALTER TABLE actors_task ADD COLUMN colour TEXT" in step
    assert "CREATE TABLE" not in step
    assert "nothing to do" in schema.sql("sqlite://", since=NEXT)
    for since in (-1, NEXT + 1):
        with pytest.raises(InvalidOption, match=f"no version {since}; give one from 0 .* to {NEXT}"):
            schema.sql("sqlite://", since=since)


def test_without_a_url_it_is_the_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    assert schema.upgrade().database == f"sqlite:///{path}"
    assert path.exists()

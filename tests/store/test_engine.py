from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from actors.core.errors import InvalidOption, SchemaMismatch
from actors.store import schema
from actors.store.engine import file_of, in_memory, make_engine, parse, shown
from tests.store.world import World


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tasks.db",
        "postgresql://user:hunter2@host:port/db",
        "postgresql://user:hun@ter2@host:99x/db",
        "://user:hunter2@host",
        "mysql://user:hunter2@host/db",
        "postgres://host/db?password=hunter2",
        "sqlite:///file:tasks.db?uri=true&password=hunter2",
        "line\nbreak://user:hunter2@host",
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line_without_the_password(url: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        make_engine(url)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)
    assert "sqlite" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///tasks.db", "sqlite+pysqlite"),
        ("sqlite+aiosqlite:///tasks.db", "sqlite+pysqlite"),
        ("postgresql://host/db", "postgresql+psycopg"),
        ("postgresql+asyncpg://host/db", "postgresql+psycopg"),
    ],
)
def test_the_driver_is_ours_whatever_the_url_says(url: str, driver: str) -> None:
    assert parse(url).drivername == driver


@pytest.mark.parametrize("option", ["timeout=soon", "check_same_thread=false", "strange=1"])
def test_options_for_another_driver_of_the_same_file_are_passed_over(tmp_path: Path, option: str) -> None:
    with make_engine(f"sqlite:///{tmp_path}/tasks.db?{option}").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_passwords_are_left_out_of_what_is_shown() -> None:
    assert shown("postgresql://user:hunter2@host/db") == "postgresql://user:***@host/db"
    assert "hunter2" not in shown("postgresql://host/db?password=hunter2&sslpassword=hunter2")
    assert shown("sqlite:///tasks.db") == "sqlite:///tasks.db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("sqlite://", True), ("sqlite:///:memory:", True), ("sqlite:///a.db", False), ("postgresql://h/d", False)],
)
def test_a_database_in_memory_is_known(url: str, expected: bool) -> None:
    assert in_memory(parse(url)) is expected


def test_new_files_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    path, mask = tmp_path / "tasks.db", os.umask(0)
    try:
        engine = make_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            schema.create(connection)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        engine.dispose()
    finally:
        os.umask(mask)
    assert modes == {"tasks.db": 0o600, "tasks.db-wal": 0o600, "tasks.db-shm": 0o600}


def test_an_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    path.touch(0o640)
    make_engine(f"sqlite:///{path}").dispose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(("place", "words"), [("missing/tasks.db", "cannot be made"), ("", "cannot be written")])
def test_a_path_that_cannot_be_written_is_said_in_one_line(tmp_path: Path, place: str, words: str) -> None:
    with pytest.raises(InvalidOption, match=words) as caught:
        make_engine(f"sqlite:///{tmp_path / place}")
    assert "\n" not in str(caught.value)


def test_postgresql_without_its_driver_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidOption, match=r"pip install 'trio-actors\[postgres\]'"):
        make_engine("postgresql://host/db")


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_sqlite_is_set_to_survive_a_power_cut(file_url: str) -> None:
    engine = make_engine(file_url, busy_seconds=3.0)
    assert pragma(engine, "journal_mode") == "wal"
    assert pragma(engine, "synchronous") == 2  # FULL
    assert pragma(engine, "busy_timeout") == 3000
    engine.dispose()


def test_a_transaction_takes_the_write_lock_when_it_begins(file_url: str) -> None:
    first, second = make_engine(file_url), make_engine(file_url, busy_seconds=0.0)
    with first.begin(), second.connect() as connection, pytest.raises(Exception, match="database is locked"):
        connection.begin()
    first.dispose()
    second.dispose()


def test_a_read_only_engine_reads_a_snapshot_beside_a_writer_and_refuses_writes(file_url: str) -> None:
    writer, reader = make_engine(file_url), make_engine(file_url, read_only=True)
    with writer.begin() as connection:
        schema.create(connection)
    with writer.begin() as writing, reader.begin() as reading:
        World(writing).submitted("mail")
        assert World(reading).counts() == {}
        with pytest.raises(OperationalError, match="readonly"):
            reading.execute(schema.version.insert().values(version_num="7"))
    writer.dispose()
    reader.dispose()


def test_a_rolled_back_transaction_leaves_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        with connection.begin() as transaction:
            World(connection).submitted("mail")
            transaction.rollback()
        with connection.begin():
            assert (World(connection).counts(), World(connection).gauges()) == ({}, {})


def test_creating_the_tables_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        World(connection).submitted("mail")
        schema.create(connection)
        assert World(connection).counts() == {"pending": 1}
        assert all(name.startswith(schema.PREFIX) for name in inspect(connection).get_table_names())


def test_two_nodes_create_the_tables_at_once(postgres_url: str) -> None:
    engine = make_engine(postgres_url)

    def create(_: int) -> None:
        with engine.begin() as connection:
            schema.create(connection)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(create, range(2)))
    engine.dispose()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (schema.VERSION + 1, f"knows version {schema.VERSION}; install a newer trio-actors"),
        (schema.VERSION - 1, f"needs version {schema.VERSION}; run: actors migrate"),
    ],
)
def test_tables_of_another_version_are_refused_with_what_would_work(engine: Engine, found: int, words: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(schema.version).values(version_num=schema.revision(found)))
        with pytest.raises(SchemaMismatch) as caught:
            schema.create(connection)
    message = str(caught.value)
    assert f"version {found};" in message
    assert words in message
    assert "\n" not in message


def test_a_file_is_known_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_of(parse("sqlite:///tasks.db")) == str(tmp_path / "tasks.db")
    assert file_of(parse("sqlite://")) is None
    assert file_of(parse("postgresql://host/db")) is None

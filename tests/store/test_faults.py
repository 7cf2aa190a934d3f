from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from actors.core.errors import DatabaseInUse
from actors.store import schema
from actors.store.engine import make_engine
from actors.store.faults import of_the_data, of_the_session, passing
from actors.store.lock import FileLock
from actors.store.outside import data_version
from tests.store.world import World


def test_a_lock_that_another_process_holds_passes(file_url: str) -> None:
    first, second = make_engine(file_url), make_engine(file_url, busy_seconds=0.0)
    with first.begin(), second.connect() as connection, pytest.raises(sqlite3.OperationalError) as caught:
        connection.begin()
    assert passing(caught.value) == "another process holds the write lock"
    first.dispose()
    second.dispose()


def test_a_full_disk_passes(file_url: str) -> None:
    engine = make_engine(file_url)
    with engine.begin() as connection:
        schema.create(connection)
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught, connection.begin():
            World(connection).submitted(*["mail"] * 1000)
        assert passing(caught.value) == "the disk is full"
        with connection.begin():
            assert World(connection).counts() == {}
    engine.dispose()


def test_a_server_that_stops_the_connection_passes(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert passing(caught.value)
    assert of_the_session(caught.value)


@pytest.mark.parametrize(
    "sql", ["SELECT nonsense", "INSERT INTO actors_version SELECT version_num FROM actors_version"]
)
def test_a_fault_of_the_statement_comes_again(engine: Engine, sql: str) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql(sql)
    assert passing(caught.value) is None
    assert not of_the_session(caught.value)


def test_an_error_of_somebody_else_comes_again() -> None:
    assert passing(ValueError()) is None


@pytest.mark.parametrize("wrong", [{"input_data": "\ud800"}, {"priority": 1 << 70}, {"lane": None}], ids=str)
def test_a_value_that_no_database_takes_is_blamed(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # what it is differs from driver to driver
        world.submit(world.new()._replace(**wrong))
    assert of_the_data(caught.value)
    assert passing(caught.value) is None


@pytest.mark.parametrize("error", [ValueError(), sqlite3.OperationalError("no such table"), MemoryError()], ids=repr)
def test_any_other_fault_is_not_blamed_on_a_value(error: Exception) -> None:
    assert not of_the_data(error)


def test_one_process_at_a_time_holds_the_file_and_the_other_is_told_which(tmp_path: Path) -> None:
    path = str(tmp_path / "tasks.db")
    mine, other = FileLock(path), FileLock(path)
    mine.acquire()
    with pytest.raises(DatabaseInUse, match=r"with process id \d+; stop that one, or run this one with work=False"):
        other.acquire()
    mine.release()
    mine.release()
    other.acquire()
    other.release()


def test_what_another_connection_commits_is_noticed(file_url: str) -> None:
    one, other = make_engine(file_url), make_engine(file_url)
    with one.begin() as connection:
        schema.create(connection)
    with one.connect() as watching:
        seen = data_version(watching)
        with other.begin() as connection:
            World(connection).submitted("mail")
        assert data_version(watching) != seen
    one.dispose()
    other.dispose()

"""One suite over every database: each test that takes `engine` runs once on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine, make_url

from actors.store import schema
from actors.store.engine import make_engine
from tests.postgres import PostgresServer
from tests.store.world import World

DATABASES = ("sqlite-file", "sqlite-memory", "postgres")


@contextmanager
def engine_with_tables(url: str) -> Iterator[Engine]:
    """An engine on *url*, whose database was empty; its connections are closed on leaving."""
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            schema.create(connection)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database that has the tables, to be copied: cheaper than creating them for each test."""
    with postgres_server.database() as url:
        with engine_with_tables(url):
            pass  # nobody may be connected to a template while it is copied
        name = make_url(url).database
        assert name is not None
        yield name


@pytest.fixture
def postgres_engine(postgres_server: PostgresServer, postgres_template: str) -> Iterator[Engine]:
    """An engine on a fresh PostgreSQL database that has the tables."""
    with postgres_server.database(template=postgres_template) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine on a fresh database that has the tables; the test runs once for each of `DATABASES`."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_engine")
        return
    url = "sqlite:///:memory:" if request.param == "sqlite-memory" else f"sqlite:///{tmp_path / 'tasks.db'}"
    with engine_with_tables(url) as engine:
        yield engine


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    """One node on that database, in one transaction."""
    with engine.begin() as connection:
        yield World(connection)

"""Fixtures for every folder of tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.postgres import PostgresServer, running_server

# The same examples on every run and on every machine, however slow it is; nothing is written into the tree.
hypothesis.settings.register_profile("actors", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("actors")

# A shell starts its background jobs with SIGINT ignored, and children inherit that: no test could press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run, or for each worker of it; the first test that asks for it starts it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL (``postgresql+psycopg://…``) of a fresh, empty database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a database file that does not exist yet."""
    return tmp_path / "tasks.db"


@pytest.fixture
def file_url(path: Path) -> str:
    """The URL of that file."""
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; the test runs once on each kind."""
    return str(request.getfixturevalue("file_url" if request.param == "sqlite" else "postgres_url"))

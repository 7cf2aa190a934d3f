"""Fixtures for tests with real processes and real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.whole.herd import Herd
from tests.whole.process import Program
from tests.whole.table import File, OnServer


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts programs: `start("flood", …)`, as `Program` does. All of them are gone when the test is over."""
    begun: list[Program] = []

    def start(name: str, *arguments: object, **how: Any) -> Program:
        begun.append(Program(name, *arguments, **how))
        return begun[-1]

    yield start
    for program in begun:
        program.end()


@pytest.fixture
def file(path: Path) -> File:
    """A database file that does not exist yet."""
    return File(path)


@pytest.fixture
def worker(start: Callable[..., Program], file: File) -> Program:
    """The program `node`, at work on that file."""
    program: Program = start("node", file.path)
    program.line("running")
    return program


@pytest.fixture
def server(postgres_url: str) -> Iterator[OnServer]:
    """A database on a server that has no tables yet."""
    server = OnServer(postgres_url)
    yield server
    server.close()


@pytest.fixture
def herd(start: Callable[..., Program], server: OnServer, tmp_path: Path) -> Herd:
    """Nodes to be started on that database."""
    for noted in ("acknowledged", "executed"):
        (tmp_path / noted).touch()
    return Herd(start, server, tmp_path)

"""Fixtures for tests with real processes and real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.whole.process import Program
from tests.whole.table import File


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts programs: `start("flood", …)`. All of them are gone when the test is over."""
    begun: list[Program] = []

    def start(name: str, *arguments: object) -> Program:
        begun.append(Program(name, *arguments))
        return begun[-1]

    yield start
    for program in begun:
        program.end()


@pytest.fixture
def file(tmp_path: Path) -> File:
    """A database file that does not exist yet."""
    return File(tmp_path / "tasks.db")

"""Fixtures for the tests of the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import SERVICE, Ended, Node, Terminal, actors


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the machine has set reaches the commands."""
    for name in os.environ:
        if name.startswith(("TASK_", "DATABASE_URL", "COLUMNS", "NO_COLOR")):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: a module `service` with a task system, and no database yet."""
    (tmp_path / "service.py").write_text(SERVICE)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in ("service", "broken"):
        sys.modules.pop(name, None)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Node]]:
    """Starts a node in *folder* and waits until it works; it is gone when the test is over."""
    begun: list[Node] = []

    def start(*arguments: object, **environ: str) -> Node:
        begun.append(Node(folder, *arguments, **environ))
        begun[-1].line("task types")
        return begun[-1]

    yield start
    for node in begun:
        node.end()


@pytest.fixture
def open_terminal(folder: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts a command on a terminal; it is gone when the test is over."""
    begun: list[Terminal] = []

    def open_terminal(command: list[str], *, folder: Path = folder, **more: Any) -> Terminal:
        begun.append(Terminal(folder, command, **more))
        return begun[-1]

    yield open_terminal
    for terminal in begun:
        terminal.end()


@pytest.fixture
def submit(folder: Path) -> Callable[..., str]:
    """Submits a task of `service:app`; its id."""

    def submit(task_type: str, payload: str = "{}", *more: object) -> str:
        done: Ended = actors("submit", "service:app", task_type, payload, *more)
        return done.fine.out.strip()

    return submit

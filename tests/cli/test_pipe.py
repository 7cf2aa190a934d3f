"""When whoever reads goes away."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.world import actors, environment, program


@pytest.mark.parametrize("command", ["list", "list --json", "stats", "cancel {id}"])
def test_a_reader_that_goes_away_is_silent(command: str, folder: Path, submit: Callable[..., str]) -> None:
    task_id = submit("greet")
    ran = subprocess.Popen(
        program(*command.format(id=task_id).split()),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert ran.stdout is not None
    ran.stdout.close()
    assert ran.stderr is not None
    with ran.stderr:
        assert ran.stderr.read() == b""
    assert ran.wait(20) == 0


def test_what_is_steered_is_steered_to_the_end(folder: Path, submit: Callable[..., str]) -> None:
    ids = [submit("greet") for _ in range(3)]
    shell = " ".join([*program("cancel", *ids), "|", "true"])
    ran = subprocess.run(shell, shell=True, cwd=folder, env=environment(), check=True, stderr=subprocess.PIPE)
    assert ran.stderr == b""
    assert {task["status"] for task in actors("list", "--json").json} == {"cancelled"}


@pytest.mark.parametrize("command", ["list", "tree", "stats --json", "show {id}"])
def test_a_stdout_that_was_closed_from_the_start_is_no_error(
    command: str, folder: Path, submit: Callable[..., str]
) -> None:
    shell = " ".join([*program(*command.format(id=submit("greet")).split()), ">&-"])
    ran = subprocess.run(shell, shell=True, cwd=folder, env=environment(), check=True, stderr=subprocess.PIPE)
    assert ran.stderr == b""


def test_a_stdin_that_was_closed_is_told(folder: Path) -> None:
    shell = " ".join([*program("submit", "service:app", "greet", "-"), "<&-"])
    ran = subprocess.run(shell, shell=True, cwd=folder, env=environment(), check=False, stderr=subprocess.PIPE)
    assert ran.returncode == 2
    assert b"stdin is closed" in ran.stderr


def test_errors_that_nobody_reads_are_silent_too(folder: Path) -> None:
    ran = subprocess.Popen(program("list"), cwd=folder, env=environment(), stderr=subprocess.PIPE)
    assert ran.stderr is not None
    ran.stderr.close()
    assert ran.wait(20) == 1

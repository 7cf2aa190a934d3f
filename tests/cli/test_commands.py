"""The command line: what it says, and with which exit code it ends."""

from __future__ import annotations

import runpy
import sys

import click
import pytest

import actors
from actors.cli import COMMANDS, main
from actors.core.errors import NotRunning


@click.command()
def fail() -> None:
    """Fails with one of our own errors."""
    raise NotRunning("nothing runs; start it first")


@pytest.fixture
def failing_command(monkeypatch: pytest.MonkeyPatch) -> str:
    """A command that raises an error of the package."""
    monkeypatch.setitem(COMMANDS, "fail", f"{__name__}:fail")
    return "fail"


def exit_code(*arguments: str) -> object:
    """How the command line ends."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"actors, version {actors.__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(flag) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in COMMANDS)


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("dmeo") == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("Error: No such command 'dmeo'.")


def test_an_error_of_ours_is_one_line(failing_command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(failing_command) == 1
    assert capsys.readouterr().err == "actors: nothing runs; start it first\n"


def test_debug_shows_the_traceback(failing_command: str) -> None:
    with pytest.raises(NotRunning):
        main(["--debug", failing_command])


def test_the_package_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["actors", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("actors", run_name="__main__")
    assert caught.value.code == 0
    assert "version" in capsys.readouterr().out

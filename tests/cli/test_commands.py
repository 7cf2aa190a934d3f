"""The command line as a whole: what it says when it is used wrongly, and with which exit code it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

import actors as package
from actors.cli import COMMANDS, main
from actors.cli.entry import run
from actors.core.errors import NotRunning, TaskFailed
from actors.core.task import ErrorInfo, moment
from tests.cli.world import HOSTILE, actors


@pytest.fixture
def ends_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes a command `end`, which raises what it is told to."""

    def ends_with(error: BaseException) -> None:
        @click.command()
        def end() -> None:
            raise error

        monkeypatch.setattr(sys.modules[__name__], "command", end, raising=False)
        monkeypatch.setitem(COMMANDS, "end", f"{__name__}:command")

    return ends_with


def test_version_is_the_packages() -> None:
    assert actors("--version").fine.out == f"actors, version {package.__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(flag: str) -> None:
    shown = actors(flag).fine.out
    assert all(f"  {name}" in shown for name in COMMANDS)


def test_without_a_command_the_help_is_shown_and_that_is_wrong_usage() -> None:
    ended = actors()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == actors("--help").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dmeo"], "no command is named 'dmeo'; did you mean 'demo'? (see actors --help)"),
        (["list", "--statsu", "x"], "No such option"),
        (["list", "--status", "x"], "'x' is not one of 'pending'"),
        (["list", "--limit", "1001"], "'--limit'"),
        (["show"], "Missing argument 'ID' (see actors show --help)"),
        (["show", "0193"], "'0193' is no task id; give all of it"),
        (["cancel"], "Missing argument 'ID...'"),
        (["pause"], "give either --lane or --type"),
        (["resume", "--lane", "a", "--type", "b"], "give either --lane or --type"),
        (["retry"], "give either IDs or --failed"),
        (["retry", "--type", "x", "01890a5d-ac96-774b-bcce-b302099a8057"], "--type and --since go with --failed"),
        (["cleanup", "--completed-older-than", "old"], "'old' is no duration"),
        (["submit", "service", "greet"], "'service' should be module:attribute, such as service.tasks:app"),
        (["work", "a b:app"], "should be module:attribute"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], words: str) -> None:
    actors(*arguments).refused(words, code=2)


def test_a_password_in_a_misplaced_url_is_not_repeated() -> None:
    ended = actors("list", "postgresql://user:secret@host/database")
    ended.refused("postgresql://user:***@host/database", code=2)


def test_an_error_of_ours_is_one_line(ends_with: Callable[[BaseException], None]) -> None:
    ends_with(NotRunning(f"nothing runs {HOSTILE}"))
    actors("end").refused("actors: nothing runs \\x1b[31mred\\x07\\r\\n\\u202e")


def test_any_other_error_is_one_line_too(ends_with: Callable[[BaseException], None]) -> None:
    ends_with(ValueError("'x' is not a valid TaskStatus"))
    actors("end").refused("actors: ValueError: 'x' is not a valid TaskStatus; --debug shows where")


def test_of_a_group_the_first_error_is_told(ends_with: Callable[[BaseException], None]) -> None:
    ends_with(ExceptionGroup("all", [ExceptionGroup("some", [NotRunning("nothing runs")]), ValueError("later")]))
    actors("end").refused("actors: nothing runs\n")


def test_ctrl_c_is_130_without_a_word(ends_with: Callable[[BaseException], None]) -> None:
    for error in (KeyboardInterrupt(), BaseExceptionGroup("all", [ValueError("x"), KeyboardInterrupt()])):
        ends_with(error)
        ended = actors("end")
        assert (ended.code, ended.out, ended.err.strip()) == (130, "", "")


def test_ctrl_c_while_the_command_line_loads_is_130_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("actors.cli.entry.run", interrupted)
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 130


@pytest.mark.parametrize("arguments", [["--debug", "end"], ["end", "--debug"]])
def test_debug_shows_the_traceback_made_harmless(
    arguments: list[str], ends_with: Callable[[BaseException], None]
) -> None:
    ends_with(NotRunning(f"nothing runs {HOSTILE}"))
    ended = actors(*arguments)
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert "raise error" in ended.err
    assert all(line.isprintable() for line in ended.err.rstrip("\n").split("\n"))


def test_debug_shows_the_handlers_traceback_of_a_failed_task(ends_with: Callable[[BaseException], None]) -> None:
    told = ErrorInfo("ValueError", "x", "Traceback of the handler\n", 1, moment(0))
    ends_with(TaskFailed("task 1 failed", "1", told))
    assert actors("--debug", "end").err == "Traceback of the handler\nactors: task 1 failed\n"


def test_an_exit_code_of_a_command_is_the_programs(ends_with: Callable[[BaseException], None]) -> None:
    ends_with(click.exceptions.Exit(1))
    assert run(["end"]) == 1


def test_the_package_runs_as_a_module() -> None:
    ran = subprocess.run([sys.executable, "-m", "actors", "--version"], capture_output=True, text=True, check=True)
    assert "version" in ran.stdout

"""The help texts: each command's has examples, and they are ones that the command takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from actors.cli import COMMANDS
from actors.cli.entry import cli
from tests.cli.world import ROOT, Terminal, actors, program
from tests.environment import untraced

EXAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
OWN = sorted(set(COMMANDS) - {"demo"})


def examples(name: str) -> list[str]:
    """The lines below "Examples:" in the help of a command."""
    _, _, rest = actors(name, "--help").fine.out.partition("  Examples:\n")
    lines = rest.split("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_examples_of_itself(name: str) -> None:
    assert examples(name)
    assert all(line.startswith(f"actors {name}") for line in examples(name))


@pytest.mark.parametrize("name", OWN)
def test_what_the_examples_say_is_understood(name: str) -> None:
    for line in examples(name):
        alone = re.split(r" [|<>] ", re.sub(r"\$\(.*\)", EXAMPLE_ID, line))[0].replace(" - ", " {} ")
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.make_context(name, shlex.split(alone)[2:]).params


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_is_summed_up_in_one_line_of_the_list(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    if name != "demo":
        assert not command.get_short_help_str(limit=70).endswith("...")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_line_of_help_is_wider_than_a_terminal(name: str) -> None:
    assert max(map(len, actors(name, "--help").fine.out.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(set(OWN) - {"work", "submit", "migrate"}))
def test_what_looks_or_steers_takes_json_and_database(name: str) -> None:
    shown = actors(name, "--help").fine.out
    assert "--json" in shown
    assert "--database URL" in shown


def test_the_commands_load_without_trio_and_a_database(tmp_path: Path) -> None:
    loaded = (
        "import sys; from actors.cli.entry import cli; import click\n"
        f"for name in {OWN!r}: cli.get_command(click.Context(cli), name)\n"
        "print(sorted({'trio', 'sqlalchemy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [program()[0], "-c", loaded],
        cwd=tmp_path,
        env=untraced(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def complete(words: str, current: int) -> list[str]:
    """What the shell is offered for the word number *current*."""
    more = {"_ACTORS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(current)}
    done = subprocess.run(
        program(), env=untraced(PYTHONPATH=str(ROOT), **more), capture_output=True, text=True, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_commands_and_states() -> None:
    assert complete("actors re", 1) == ["resume", "retry"]
    assert complete("actors list --status c", 3) == ["completed", "cancelled"]
    assert "--created-after" in complete("actors list --cr", 2)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_after_the_line_that_the_help_gives(
    tmp_path: Path, open_terminal: Callable[..., Terminal]
) -> None:
    script = tmp_path / "actors"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n')
    script.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    terminal = open_terminal(["/usr/bin/env", "bash", "--norc", "--noprofile", "-i"], PATH=path, PS1="ready> ")
    (line,) = [line.strip() for line in actors("--help").out.splitlines() if line.strip().startswith("eval ")]
    terminal.type(f"{line}; echo load''ed\r")
    terminal.until("loaded")
    terminal.type("actors canc\t--he\techo''ed\r")
    terminal.until("actors cancel --help ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(shell: str) -> None:
    more = untraced(PYTHONPATH=str(ROOT), _ACTORS_COMPLETE=f"{shell}_source")
    done = subprocess.run(program(), env=more, capture_output=True, text=True, check=True)
    assert "_ACTORS_COMPLETE" in done.stdout

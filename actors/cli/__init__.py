"""The command `actors`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from .. import __version__
from ..core.errors import ActorsError

COMMANDS = {
    "demo": "actors.demo.command:demo",
    "migrate": "actors.cli.migrate:migrate",
}


class Commands(click.Group):
    """Loads a command when it is asked for, so that `actors --version` needs no extra."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _colon, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="actors")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Durable background tasks for services written on trio.

    \b
    Try it:
      actors demo                  the main job, on a document that comes along
      actors demo openapi.yaml     … on your own
    """
    context.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line. Exit codes: 0 fine, 1 the work failed, 2 wrong usage; errors are one line."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return cli.main(given, prog_name="actors", standalone_mode=True)
    except ActorsError as error:
        if "--debug" in given:
            raise
        click.echo(f"actors: {error}", err=True)
        sys.exit(1)

"""From the arguments to an exit code: how the command line ends, whatever happens."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

import click

from .. import __version__
from ..core.errors import ActorsError, UnsuccessfulTask, did_you_mean
from ..core.printable import plain_lines
from . import COMMANDS, INTERRUPTED
from .terminal import complain, say_nothing_raw

FAILED = 1

_DEBUG = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks.")


class Commands(click.Group):
    """Loads a command when it is asked for, so that `actors --version` needs no extra. All of them take `--debug`."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _colon, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if _DEBUG not in command.params:
            command.params.append(_DEBUG)
        return command

    def resolve_command(self, context: click.Context, arguments: list[str]) -> Any:
        if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
            context.fail(f"no command is named {arguments[0]!r}{did_you_mean(arguments[0], COMMANDS)}")
        return super().resolve_command(context, arguments)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="actors")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Durable background tasks for services written on trio.

    \b
    Examples:
      actors demo
      actors work service.tasks:app
      actors submit service.tasks:app greet '{"name": "trio"}' --wait
      actors list --status failed --database sqlite:///tasks.db
      actors tree

    All but work, submit and demo look at a database, or steer what is in it, beside the nodes that run on it; they
    make none. Without --database it is DATABASE_URL, else sqlite:///actors.db. A password is better kept in
    DATABASE_URL: everyone on the machine can read a command line.

    Text from the database is shown with its control codes escaped.

    Exit codes: 0 fine, 1 the work failed, 2 wrong usage, 130 Ctrl-C.

    \b
    Completion for the shell, in ~/.bashrc (or zsh_source in ~/.zshrc):
      eval "$(_ACTORS_COMPLETE=bash_source actors)"
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


def run(arguments: list[str]) -> int:
    """Run the command that *arguments* ask for; its exit code. Errors are told in one line."""
    say_nothing_raw()
    try:
        code = cli.main(arguments, prog_name="actors", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (Exception, BaseExceptionGroup) as error:
        return _tell(_leaf(error), debug="--debug" in arguments)


def _tell(error: BaseException, *, debug: bool) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if debug and not isinstance(error, click.UsageError):
        click.echo("\n".join(plain_lines(_story(error))), err=True)
    if isinstance(error, click.ClickException):
        complain(_usage(error))
        return error.exit_code
    if isinstance(error, ActorsError):
        complain(str(error))
    else:
        complain(f"{type(error).__name__}: {error}" + ("" if debug else "; --debug shows where"))
    return FAILED


def _story(error: BaseException) -> str:
    """The traceback: of the handler, if it is its error that is told."""
    if isinstance(error, UnsuccessfulTask) and error.error_info is not None:
        return error.error_info.traceback
    return "".join(traceback.format_exception(error))


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = " ".join(error.format_message().split()).rstrip(".")
    return message if context is None else f"{message} (see {context.command_path} --help)"


def _leaf(error: BaseException) -> BaseException:
    """The one that counts among those of a group: Ctrl-C, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_leaf(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, KeyboardInterrupt)), leaves[0])

"""`actors demo`: the command. It imports what the `demo` extra brings only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from actors.demo.run import Options

_EXTRA = {"yaml", "jsonschema", "referencing", "rstr", "httpx", "hypercorn", "starlette", "rich", "jinja2"}


def _check_target(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        raise click.BadParameter("this is no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise click.BadParameter("give a URL such as http://127.0.0.1:8000/api")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise click.BadParameter("give a URL without user, password, query and fragment")
    return value


@click.command()
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...", type=click.Path(path_type=Path))
@click.option("--target", metavar="URL", callback=_check_target, help="Test the server there, not a mock of our own.")
@click.option(
    "--work",
    metavar="FOLDER",
    default="actors-demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep database, files and reports there; each run in a folder of its own.",
)
@click.option("--resume", is_flag=True, help="Go on with the newest run in FOLDER, as it was begun.")
@click.option("--seed", metavar="N", type=int, help="Draw other cases; the same for the same N. [default: 1]")
@click.option("--strict", is_flag=True, help="Exit with 1 also when a case failed.")
def demo(
    documents: tuple[Path, ...], target: str | None, work: Path, resume: bool, seed: int | None, strict: bool
) -> None:
    """Test the APIs that OpenAPI documents describe, as durable background tasks.

    DOCUMENT is an OpenAPI 3.0 or 3.1 file (YAML or JSON), or a folder of such files; without one, a small bookshop
    that comes with the package. Each is analysed, gets test cases, has them run over HTTP, and gets a report (HTML
    and JSON). The server under test is a mock that the demo makes of the document, slow and busy now and then, or the
    one at --target: that one gets every request, also those that write and delete.

    Kill it in the middle, even with kill -9: with --resume it goes on where it was.

    \b
    Examples:
      actors demo
      actors demo petstore.yaml --seed 7
      actors demo specs/ --work /tmp/demo
      actors demo --resume --work /tmp/demo
      actors demo api.yaml --target http://127.0.0.1:8000/v1

    Exit codes: 0 fine, 1 a document could not be used or worked through, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    try:
        from actors.demo.run import Options
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise click.ClickException(f"the demo needs {error.name}: pip install 'trio-actors[demo]'") from None
    sys.exit(_run(Options(documents, target, work, resume, seed, strict)))


def _run(options: Options) -> int:
    import trio
    from rich.console import Console

    from actors.core.printable import plain
    from actors.demo.errors import OtherPlan
    from actors.demo.run import FAILED, WRONG_USAGE
    from actors.demo.run import demo as run_demo
    from actors.errors import ActorsError

    problem, code = "", FAILED
    try:
        return trio.run(run_demo, options, Console(highlight=False))
    except* OtherPlan as group:
        problem, code = str(_first_leaf(group)), WRONG_USAGE
    except* (ActorsError, OSError) as group:
        problem = str(_first_leaf(group))
    click.echo(f"actors: {plain(problem)}", err=True)
    return code


def _first_leaf(error: BaseException) -> BaseException:
    return _first_leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error

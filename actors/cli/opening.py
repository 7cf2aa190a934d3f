"""How a command opens a database beside those who work on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..app import TaskSystem
    from ..settings import Settings

T = TypeVar("T")

database_option = click.option(
    "--database", metavar="URL", help="Where the tasks are. [default: DATABASE_URL, else sqlite:///actors.db]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def look_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command takes that looks or steers."""
    return database_option(json_option(command))


def beside(database: str | None, use: Callable[[TaskSystem], Awaitable[T]], settings: Settings | None = None) -> T:
    """What *use* returns of the database, whoever works on it; nothing is made there.

    *settings* are those of the environment, unless given.

    Raises:
        ActorsError: it cannot be opened, or holds no tasks of ours.
    """
    import trio

    from ..app import TaskSystem

    app = TaskSystem(database, settings=settings)

    async def visit() -> T:
        async with app.running(work=False, create=False):
            return await use(app)

    return trio.run(visit)

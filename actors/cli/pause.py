"""`actors pause` and `actors resume`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..core.printable import plain
from . import json_text
from .opening import beside, look_options
from .terminal import say

if TYPE_CHECKING:
    pass


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    lane = click.option("--lane", metavar="NAME", help="The tasks of this lane.")
    return lane(click.option("--type", "task_type", metavar="TYPE", help="The tasks of this type.")(command))


@click.command()
@_which
@look_options
def pause(lane: str | None, task_type: str | None, database: str | None, as_json: bool) -> None:
    """Start no more tasks of a lane or a type.

    On any node, until `actors resume`. What runs goes on. The pause is kept in the database, and outlives every node.

    \b
    Examples:
      actors pause --type mirror
      actors pause --lane thread --database sqlite:////var/lib/service/tasks.db
    """
    chosen = _one_of(lane, task_type)
    beside(database, lambda app: app.pause(**chosen))
    _tell("paused", chosen, as_json)


@click.command()
@_which
@look_options
def resume(lane: str | None, task_type: str | None, database: str | None, as_json: bool) -> None:
    """End a pause.

    One that there is not is no error.

    \b
    Examples:
      actors resume --type mirror
      actors resume --lane thread --json
    """
    chosen = _one_of(lane, task_type)
    beside(database, lambda app: app.resume(**chosen))
    _tell("resumed", chosen, as_json)


def _one_of(lane: str | None, task_type: str | None) -> dict[str, Any]:
    if (lane is None) == (task_type is None):
        raise click.UsageError("give either --lane or --type", click.get_current_context())
    return {"lane": lane} if task_type is None else {"task_type": task_type}


def _tell(done: str, chosen: dict[str, Any], as_json: bool) -> None:
    ((kind, name),) = chosen.items()
    words = {"lane": "lane", "task_type": "task type"}
    say(json_text.one({done: chosen}) if as_json else f"{done} {words[kind]} {plain(repr(name))} on every node")

"""`actors pause` and `actors resume`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

import click

from ..core.errors import did_you_mean
from ..core.printable import plain
from . import json_text
from .opening import beside, look_options
from .terminal import complain, say

if TYPE_CHECKING:
    from ..app import TaskSystem

WORDS: Final = {"lane": "lane", "task_type": "task type"}


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
    kind, name = _one_of(lane, task_type)
    known = beside(database, lambda app: _pause(app, kind, name))
    say(_done("paused", kind, name) if not as_json else json_text.one({"paused": {kind: name}}))
    if known and name not in known:
        complain(f"that is for nodes to come: no live one has a {WORDS[kind]} {name!r}{did_you_mean(name, known)}")


async def _pause(app: TaskSystem, kind: str, name: str) -> set[str]:
    """Pause it; the names of its kind that live nodes have told of."""
    await app.pause(**{kind: name})
    told = [node.snapshot.get("lanes" if kind == "lane" else "task_types") for node in await app.nodes() if node.alive]
    return {str(one) for names in told if isinstance(names, dict | list) for one in names}


@click.command()
@_which
@look_options
def resume(lane: str | None, task_type: str | None, database: str | None, as_json: bool) -> None:
    """End a pause.

    One that there is not is no error, but is told, with what is paused.

    \b
    Examples:
      actors resume --type mirror
      actors resume --lane thread --json
    """
    kind, name = _one_of(lane, task_type)
    paused = beside(database, lambda app: _resume(app, kind, name))
    was_paused = (kind, name) in paused
    if as_json:
        say(json_text.one({"resumed": {kind: name}, "was_paused": was_paused}))
    else:
        say(_done("resumed", kind, name) if was_paused else _not_paused(kind, name, paused))


async def _resume(app: TaskSystem, kind: str, name: str) -> Collection[tuple[str, str]]:
    """End the pause; what was paused before."""
    paused = await app.pauses()
    await app.resume(**{kind: name})
    return paused


def _one_of(lane: str | None, task_type: str | None) -> tuple[str, str]:
    """The kind of what is meant, and its name."""
    if lane is not None and task_type is None:
        return "lane", lane
    if task_type is not None and lane is None:
        return "task_type", task_type
    raise click.UsageError("give either --lane or --type", click.get_current_context())


def _done(done: str, kind: str, name: str) -> str:
    return f"{done} {WORDS[kind]} {plain(repr(name))} on every node"


def _not_paused(kind: str, name: str, paused: Collection[tuple[str, str]]) -> str:
    others = ", ".join(f"{WORDS[kind]} {plain(repr(name))}" for kind, name in sorted(paused))
    return f"{WORDS[kind]} {plain(repr(name))} was not paused; {f'paused: {others}' if others else 'nothing is'}"

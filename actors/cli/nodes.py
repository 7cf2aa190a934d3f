"""`actors nodes` and `actors tree`: who works on a database, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs
import click

from ..core.printable import plain
from ..core.task import moment
from . import json_text
from .live import age, live_nodes
from .opening import beside, look_options
from .terminal import say, table, terminal_width

if TYPE_CHECKING:
    from ..app import TaskSystem
    from ..desk import NodeInfo

NOBODY = "no live node"


@click.command()
@look_options
def nodes(database: str | None, as_json: bool) -> None:
    """List the live nodes on a database.

    A node is one process that runs a task system; those that only submit or look are not listed. One that was killed
    is listed until its lease is over (15 s, unless TASK_LEASE_SECONDS says otherwise): its heartbeat's age tells.

    \b
    Examples:
      actors nodes
      actors nodes --json --database sqlite:////var/lib/service/tasks.db
    """
    found, now = beside(database, _look)
    if as_json:
        say(json_text.array([_bare(node, now) for node in found]))
    elif found:
        head = ("node", "started", "heartbeat", "running", "version")
        rows = [_row(node, now) for node in found]
        say("\n".join(table(head, rows, terminal_width())))
    else:
        say(NOBODY)


@click.command()
@look_options
def tree(database: str | None, as_json: bool) -> None:
    """Show the supervision tree of each live node.

    That is its actors, their mailboxes, restarts and last errors. Each node stores a snapshot of itself every two
    seconds; the age of what is shown stands beside it.

    \b
    Examples:
      actors tree
      actors tree --json | jq '.[].snapshot.mailboxes'
    """
    found, now = beside(database, _look)
    if as_json:
        say(json_text.array([_bare(node, now) for node in found]))
    else:
        say("\n".join(line for node in found for line in _tree(node, now)) or NOBODY)


async def _look(app: TaskSystem) -> tuple[list[NodeInfo], datetime]:
    return await live_nodes(app), moment(app.wall())


def _bare(node: NodeInfo, now: datetime) -> dict[str, Any]:
    seconds = max(0.0, (now - node.heartbeat_at).total_seconds())
    return {**attrs.asdict(node, recurse=False), "heartbeat_age_seconds": seconds}


def _row(node: NodeInfo, now: datetime) -> list[str]:
    said = part(node.snapshot)
    figures = [str(said.get(name, "?")) for name in ("running_tasks", "version")]
    return [node.name, f"{age(node.started_at, now)} ago", f"{age(node.heartbeat_at, now)} ago", *figures]


def _tree(node: NodeInfo, now: datetime) -> Iterator[str]:
    said = part(node.snapshot)
    yield f"{plain(node.name)}  {_age_of(said, now)}"
    lanes = part(said.get("lanes"))
    if lanes:
        yield "  lanes: " + ", ".join(f"{plain(name)} {_lane(part(lane))}" for name, lane in lanes.items())
    mailboxes = {name: part(mailbox) for name, mailbox in part(said.get("mailboxes")).items()}
    head = ("  actor", "state", "waiting", "peak", "handled", "restarts", "last error")
    rows = [[f"  {name}", *map(str, _actor(mailbox))] for name, mailbox in mailboxes.items()]
    yield from table(head, rows, terminal_width())


def _age_of(said: Mapping[str, Any], now: datetime) -> str:
    at = said.get("at")
    return f"as it was {age(moment(at), now)} ago" if isinstance(at, int | float) else "it has not described itself yet"


def _lane(lane: Mapping[str, Any]) -> str:
    return plain(f"{lane.get('running', '?')} of {lane.get('slots', '?')} run")


def _actor(mailbox: Mapping[str, Any]) -> Iterator[Any]:
    yield from (mailbox.get(name, "?") for name in ("state", "depth", "peak", "handled", "restarts"))
    yield mailbox.get("last_error") or ""


def part(found: object) -> Mapping[str, Any]:
    """A part of a snapshot, whatever stands in the database: what is no object is an empty one."""
    return found if isinstance(found, Mapping) else {}

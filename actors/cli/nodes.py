"""`actors nodes` and `actors tree`: who works on a database, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from ..core.node import NodeInfo
from ..core.printable import plain
from ..core.task import moment
from . import json_text
from .opening import beside, look_options
from .terminal import say, table, terminal_width
from .times import age

if TYPE_CHECKING:
    from ..app import TaskSystem

NOBODY = "no live node"
SILENT: Final = 6.0
"""Seconds: three heartbeats on a file, twelve on a server."""


@click.command()
@look_options
def nodes(database: str | None, as_json: bool) -> None:
    """List the nodes on a database.

    A node is a process that works on tasks; those that only submit or look are not listed, nor are those that have
    stopped in order. Its state is live, polling (on PostgreSQL: it does not hear what other processes tell, and looks
    at the database twice a second instead), short of memory (it starts nothing new), silent (no heartbeat for six
    seconds) or dead (its lease is over: 15 s, or TASK_LEASE_SECONDS). One that was killed stays until another node
    takes its tasks over: on PostgreSQL within seconds, on a file when one starts. Of each lane it says how many slots
    are taken.

    \b
    Examples:
      actors nodes
      actors nodes --json --database sqlite:////var/lib/service/tasks.db
    """
    found, now = beside(database, _look)
    if as_json:
        say(json_text.array([_bare(node, now) for node in found]))
    elif found:
        head = ("node", "state", "started", "heartbeat", "running", "version", "lanes")
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
    live = [node for node in found if node.alive]
    if as_json:
        say(json_text.array([_bare(node, now) for node in live]))
    else:
        say("\n".join(line for node in live for line in _tree(node, now)) or NOBODY)


async def _look(app: TaskSystem) -> tuple[Sequence[NodeInfo], datetime]:
    return await app.nodes(), moment(app.wall())


def _bare(node: NodeInfo, now: datetime) -> dict[str, Any]:
    seconds = max(0.0, (now - node.heartbeat_at).total_seconds())
    return {**attrs.asdict(node, recurse=False), "heartbeat_age_seconds": seconds}


def _row(node: NodeInfo, now: datetime) -> list[str]:
    figures = [str(node.snapshot.get(name, "?")) for name in ("running_tasks", "version")]
    times = [f"{age(time, now)} ago" for time in (node.started_at, node.heartbeat_at)]
    return [node.name, _state(node, now), *times, *figures, _lanes(node)]


def _state(node: NodeInfo, now: datetime) -> str:
    if not node.alive:
        return "dead"
    if (now - node.heartbeat_at).total_seconds() > SILENT:
        return "silent"
    if node.snapshot.get("claims_paused"):
        return "short of memory"
    return "polling" if _polls(node.snapshot) else "live"


def _polls(said: Mapping[str, Any]) -> bool:
    """Whether the node should hear what other processes tell, and does not."""
    return said.get("notifications") is False


def _lanes(node: NodeInfo) -> str:
    lanes = {name: part(lane) for name, lane in part(node.snapshot.get("lanes")).items()}
    return ", ".join(f"{name} {lane.get('running', '?')}/{lane.get('slots', '?')}" for name, lane in lanes.items())


def _tree(node: NodeInfo, now: datetime) -> Iterator[str]:
    said = node.snapshot
    when = "nothing told yet" if node.described_at is None else f"as it was {age(node.described_at, now)} ago"
    yield f"{plain(node.name)}  {when}"
    lanes = part(said.get("lanes"))
    if lanes:
        yield "  lanes: " + ", ".join(f"{plain(name)} {_lane(part(lane))}" for name, lane in lanes.items())
    if said.get("claims_paused"):
        yield plain(
            f"  short of memory: claims nothing new (TASK_MEMORY_LIMIT_MB is {said.get('memory_limit_mb', '?')})"
        )
    if _polls(said):
        yield "  polling: does not hear what other processes tell, and looks at the database twice a second"
    mailboxes = {name: part(mailbox) for name, mailbox in part(said.get("mailboxes")).items()}
    head = ("  actor", "state", "waiting", "peak", "handled", "restarts", "last error")
    rows = [[f"  {name}", *map(str, _actor(mailbox))] for name, mailbox in mailboxes.items()]
    yield from table(head, rows, terminal_width())


def _lane(lane: Mapping[str, Any]) -> str:
    return plain(f"{lane.get('running', '?')} of {lane.get('slots', '?')} run")


def _actor(mailbox: Mapping[str, Any]) -> Iterator[Any]:
    yield from (mailbox.get(name, "?") for name in ("state", "depth", "peak", "handled", "restarts"))
    yield mailbox.get("last_error") or ""


def part(found: object) -> Mapping[str, Any]:
    """A part of a snapshot, whatever stands in the database: what is no object is an empty one."""
    return found if isinstance(found, Mapping) else {}

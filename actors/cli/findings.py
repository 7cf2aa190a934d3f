"""What `actors check` finds out about settings, application and database."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
import click

from ..core.errors import ActorsError, did_you_mean
from ..core.node import NodeInfo
from ..core.task import WAITING, moment
from ..settings import DEFAULT_URL, Settings, variable
from .loading import load
from .nodes import SILENT
from .opening import beside
from .times import age

if TYPE_CHECKING:
    from ..app import TaskSystem

OK, NOTE, BAD = "ok", "note", "bad"


@attrs.frozen
class Finding:
    """What was looked at, how it is, and in words why."""

    subject: str
    verdict: str
    text: str


def settings_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with each variable by itself; one finding if nothing is."""
    known = [variable(field.name) for field in attrs.fields(Settings)]
    given = [name for name in known if environ.get(name, "") != ""]
    bad = False
    for name in given:
        try:
            Settings.from_environment({name: environ[name]})
        except ActorsError as error:
            bad = True
            yield Finding("settings", BAD, str(error))
    for name in sorted(set(environ) - set(known)):
        if name.startswith("TASK_") and (hint := did_you_mean(name, known)):
            yield Finding("settings", NOTE, f"{name} is no setting{hint}")
    if not bad:
        yield Finding("settings", OK, f"{', '.join(given)} read" if given else "all at their defaults")


def application_finding(name: tuple[str, str]) -> tuple[TaskSystem | None, Finding]:
    try:
        app = load(name)
    except (click.ClickException, ActorsError) as error:
        words = error.message if isinstance(error, click.ClickException) else str(error)
        return None, Finding("app", BAD, words)
    types = app.task_types
    if not types:
        return app, Finding("app", BAD, f"{':'.join(name)} has no task declared; import what declares them")
    return app, Finding("app", OK, f"{':'.join(name)} declares {', '.join(types)}")


def default_url(app: TaskSystem | None) -> str:
    if app is not None:
        return app.database_url
    return os.environ.get("DATABASE_URL") or DEFAULT_URL


def database_findings(url: str, declared: list[str] | None) -> Iterator[Finding]:
    """What is to be said of the database; *declared* are the application's task types, None without one."""
    from .. import schema

    try:
        versions = schema.check(url)
        if versions.found is None:
            verdict = BAD if declared is None else NOTE
            yield Finding("database", verdict, f"{versions.database} is not there yet; a node or a submit makes it")
            return
        if versions.due:
            words = f"its tables are of version {versions.found}, not {versions.newest}; run: actors migrate"
            yield Finding("database", BAD, f"{versions.database}: {words}")
            return
        seen = beside(url, _survey, Settings())
    except ActorsError as error:
        yield Finding("database", BAD, str(error))
        return
    words = f"answers and takes writes; its tables are of version {versions.found}"
    yield Finding("database", OK, f"{versions.database} {words}")
    yield from _node_findings(seen)
    yield from _waiting_findings(seen, declared)
    for kind, name in sorted(seen.paused):
        yield Finding(
            "paused", NOTE, f"{kind.replace('_', ' ')} {name!r} is paused on every node; actors resume ends that"
        )


@attrs.frozen
class Survey:
    """What was found in a database: the live nodes, how many tasks of each type wait, and what is paused."""

    now: datetime
    nodes: list[NodeInfo]
    waiting: Mapping[str, int]
    paused: Collection[tuple[str, str]]


async def _survey(app: TaskSystem) -> Survey:
    waiting = {
        task_type: sum([await app.count(task_type=task_type, status=status) for status in WAITING])
        for task_type in (await app.statistics()).by_type
    }
    live = [node for node in await app.nodes() if node.alive]
    return Survey(moment(app.wall()), live, waiting, await app.pauses())


def _node_findings(seen: Survey) -> Iterator[Finding]:
    for node in seen.nodes:
        silent = (seen.now - node.heartbeat_at).total_seconds() > SILENT
        verdict, words = (NOTE, "may be dead") if silent else (OK, "works here")
        yield Finding("node", verdict, f"{node.name} {words}; last heard of {age(node.heartbeat_at, seen.now)} ago")
    if not seen.nodes:
        yield Finding("node", NOTE, "no node works here")


def _waiting_findings(seen: Survey, declared: list[str] | None) -> Iterator[Finding]:
    """Tasks that nobody would start. Whoever looks without an application and a live node cannot know."""
    total = sum(seen.waiting.values())
    known = {*(declared or []), *(name for node in seen.nodes for name in _types(node))}
    if declared is None and not seen.nodes:
        yield Finding("waiting", NOTE, f"{total} waiting; give MODULE:APP to see for whom")
        return
    unknown = {name: count for name, count in seen.waiting.items() if count and name not in known}
    for name, count in unknown.items():
        yield Finding("waiting", NOTE, f"{count} of type {name!r}, which nobody declares{did_you_mean(name, known)}")
    if not unknown:
        yield Finding("waiting", OK, f"{total} waiting, none of a type that nobody declares")


def _types(node: NodeInfo) -> list[str]:
    types = node.snapshot.get("task_types")
    return [name for name in types if isinstance(name, str)] if isinstance(types, list) else []

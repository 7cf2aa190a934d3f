"""`actors show`: all that is known of one task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import click

from ..core.errors import TaskNotFound
from ..core.printable import plain, plain_lines
from ..core.task import Attempt, ErrorInfo, Progress, Task
from . import json_text, values
from .opening import beside, look_options
from .terminal import coloured, say
from .times import clock

if TYPE_CHECKING:
    from ..app import TaskSystem

_NAME = 14
"""Cells of a field's name."""


@click.command()
@click.argument("task_id", metavar="ID", type=values.task_id)
@look_options
def show(task_id: str, database: str | None, as_json: bool) -> None:
    """Show all that is known of a task.

    Payload, result, progress, attempts, errors with their tracebacks. The whole ID is needed, as `actors list` and
    `actors submit` print it. Times are UTC. An attempt that simply succeeded leaves no record of its own.

    \b
    Examples:
      actors show 01890a5d-ac96-774b-bcce-b302099a8057
      actors show 01890a5d-ac96-774b-bcce-b302099a8057 --json
    """
    task, attempts = beside(database, lambda app: _look(app, task_id))
    if as_json:
        say(json_text.one({**attrs.asdict(task, recurse=False), "attempts": attempts}))
    else:
        say("\n".join(_story(task, attempts)))


async def _look(app: TaskSystem, task_id: str) -> tuple[Task, Sequence[Attempt]]:
    task = await app.get(task_id)
    if task is None:
        raise TaskNotFound.of(task_id)
    return task, await app.attempts(task_id)


def _story(task: Task, attempts: Sequence[Attempt]) -> Iterator[str]:
    for name, value in _fields(task):
        yield f"{name:<{_NAME}}{value}"
    yield from _error("error", task.error_info)
    for attempt in attempts:
        yield f"{f'attempt {attempt.number}':<{_NAME}}{_told(attempt)}"
        if attempt.error_info is not None and attempt.error_info != task.error_info:
            yield from _error("  error", attempt.error_info)


def _fields(task: Task) -> Iterator[tuple[str, str]]:
    yield "id", plain(task.task_id)
    yield "type", plain(task.task_type)
    yield "status", coloured(task.status.value)
    yield "priority", str(task.priority)
    yield "lane", f"{plain(task.lane)} ({task.mode.value})"
    yield from ((name, plain(text)) for name, text in (("key", task.key), ("node", task.node)) if text is not None)
    yield "payload", json_text.compact(task.input_data)
    if task.metadata:
        yield "metadata", json_text.compact(task.metadata)
    yield "created", clock(task.created_at)
    yield "due", clock(task.due_at)
    times = (("started", task.started_at), ("ended", task.completed_at), ("expires", task.expires_at))
    yield from ((name, clock(time)) for name, time in times if time is not None)
    yield "attempts", f"{task.attempt}; {task.retry_count} of {task.max_retries} retries, {task.crash_count} crashes"
    yield "time limits", f"soft {_limit(task.soft_timeout_seconds)}, hard {_limit(task.timeout_seconds)}"
    if task.progress is not None:
        yield "progress", _progress(task.progress)
    if task.result_data is not None:
        yield "result", json_text.compact(task.result_data)


def _limit(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:g} s"


def _progress(progress: Progress) -> str:
    data = f" {json_text.compact(progress.data)}" if progress.data else ""
    return f"{progress.fraction:.1%} {plain(progress.message)}{data} ({clock(progress.at)})"


def _told(attempt: Attempt) -> str:
    where = "" if attempt.node is None else f" on {plain(attempt.node)}"
    return f"{plain(attempt.outcome)}{where}, {clock(attempt.started_at)} to {clock(attempt.ended_at)}"


def _error(name: str, error: ErrorInfo | None) -> Iterator[str]:
    if error is None:
        return
    yield f"{name:<{_NAME}}{plain(str(error))} (attempt {error.attempt}, {clock(error.at)})"
    if error.traceback:
        yield from (f"  | {line}" for line in plain_lines(error.traceback))

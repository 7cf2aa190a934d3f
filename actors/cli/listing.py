"""`actors list`: a page of tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ..core.task import Task, TaskStatus, moment
from . import json_text, values
from .opening import beside, look_options
from .terminal import say, table, terminal_width
from .times import age, span

_HEAD = ("id", "status", "type", "age", "try", "note")
_LONGEST_NOTE = 200


@click.command("list")
@click.option("--type", "task_type", metavar="TYPE", help="Only tasks of this type.")
@click.option("--status", type=values.STATUS, help="Only tasks in this state.")
@click.option("--lane", metavar="NAME", help="Only tasks of this lane.")
@click.option("--key", metavar="TEXT", help="Only tasks with this key.")
@click.option("--created-after", metavar="TIME", type=values.past, help="Only tasks submitted since then.")
@click.option("--created-before", metavar="TIME", type=values.past, help="Only tasks submitted before then.")
@click.option(
    "--order", type=click.Choice(["newest", "oldest", "due", "ended"]), default="newest", show_default=True,
    help="Newest or oldest submitted first, next due first, or last ended first.",
)  # fmt: skip
@click.option("--limit", metavar="N", type=click.IntRange(1, 1000), default=100, show_default=True, help="1 to 1000.")
@click.option("--after", metavar="ID", type=values.task_id, help="The next page: what comes after this task.")
@look_options
def list_tasks(database: str | None, as_json: bool, status: str | None, **given: Any) -> None:
    """List tasks.

    A TIME is one in ISO format, such as 2026-03-01T12:00 (UTC, if it names no zone), or how long ago it was: 90s,
    15m, 2h, 7d. On a terminal the columns are cut to its width; in a pipe nothing is cut but long notes.

    With --json: one array, a task in each line, with all that `actors show` knows but the attempts.

    \b
    Examples:
      actors list
      actors list --status failed --created-after 2h
      actors list --type greet --order oldest --limit 1000 --json
      actors list --database sqlite:////var/lib/service/tasks.db --key nightly
      actors list --after 01890a5d-ac96-774b-bcce-b302099a8057
    """
    wanted = None if status is None else TaskStatus(status)
    tasks, now = beside(database, lambda app: _page(app, status=wanted, **given))
    if as_json:
        say(json_text.array(tasks))
    else:
        say("\n".join(table(_HEAD, [_row(task, now) for task in tasks], terminal_width())) if tasks else "no tasks")


async def _page(app: Any, **given: Any) -> tuple[list[Task], datetime]:
    return await app.list(**given), moment(app.wall())


def _row(task: Task, now: datetime) -> list[str]:
    note = "; ".join(_notes(task, now))[:_LONGEST_NOTE]
    return [task.task_id, task.status.value, task.task_type, age(task.created_at, now), str(task.attempt), note]


def _notes(task: Task, now: datetime) -> list[str]:
    notes = [] if task.key is None else [f"key {task.key}"]
    ahead = (task.due_at - now).total_seconds()
    if not task.status.ended and task.status is not TaskStatus.RUNNING and ahead > 0:
        notes.append(f"due in {span(ahead)}")
    if task.status is TaskStatus.RUNNING and task.progress is not None:
        notes.append(f"{task.progress.fraction:.0%} {task.progress.message}".rstrip())
    if task.status is not TaskStatus.COMPLETED and task.error_info is not None:
        notes.append(str(task.error_info))
    return notes

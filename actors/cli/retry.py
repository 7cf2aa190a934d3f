"""`actors retry`: ended tasks begin anew."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from . import json_text, values
from .each import Done, do_each
from .opening import beside, look_options
from .terminal import say

if TYPE_CHECKING:
    from ..app import TaskSystem


@click.command()
@click.argument("task_ids", metavar="[ID]...", type=values.task_id, nargs=-1)
@click.option("--failed", is_flag=True, help="All that failed or timed out, instead of IDs.")
@click.option("--type", "task_type", metavar="TYPE", help="With --failed: only tasks of this type.")
@click.option("--since", metavar="TIME", type=values.past, help="With --failed: only those that ended since then.")
@look_options
def retry(
    task_ids: tuple[str, ...], failed: bool, task_type: str | None, since: datetime | None,
    database: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Have tasks that have ended begin anew.

    Their retries count from 0 again. A TIME is one in ISO format (UTC, if it names no zone), or how long ago it was:
    15m, 2h, 7d.

    \b
    Examples:
      actors retry 01890a5d-ac96-774b-bcce-b302099a8057
      actors retry --failed
      actors retry --failed --type mirror --since 2h

    Exit code 1 if one of the IDs is not stored, or has not ended.
    """
    if failed == bool(task_ids):
        raise click.UsageError("give either IDs or --failed", click.get_current_context())
    if not failed and (task_type is not None or since is not None):
        raise click.UsageError("--type and --since go with --failed", click.get_current_context())
    if not failed:
        do_each(database, task_ids, _retry, as_json)
        return
    count = beside(database, lambda app: app.retry_failed(task_type=task_type, since=since))
    say(
        json_text.one({"retried": count})
        if as_json
        else f"{count:,} {'task begins' if count == 1 else 'tasks begin'} anew"
    )


async def _retry(app: TaskSystem, task_id: str) -> Done:
    await app.retry(task_id)
    return Done("begins anew", {"retried": True})

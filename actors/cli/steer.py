"""`actors cancel`, `actors delete`, `actors cleanup`: ends of tasks, and what is done with ended ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..core.options import LONGEST_SECONDS
from . import json_text, values
from .each import Done, do_each, ids_argument
from .opening import beside, look_options
from .terminal import say

if TYPE_CHECKING:
    from ..app import TaskSystem


@click.command()
@ids_argument
@look_options
def cancel(task_ids: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Cancel tasks, pending or running, on whatever node.

    One that runs is told to stop, and is stopped after the grace time of its node.

    \b
    Examples:
      actors cancel 01890a5d-ac96-774b-bcce-b302099a8057
      actors cancel 01890a5d-ac96-774b-bcce-b302099a8057 --database sqlite:///a.db
      actors cancel $(actors list --type mirror --json | jq -r '.[].task_id')

    Exit code 1 if one of them is not stored, or had ended before.
    """
    do_each(database, task_ids, _cancel, as_json)


async def _cancel(app: TaskSystem, task_id: str) -> Done:
    if await app.cancel(task_id):
        return Done("is cancelled", {"cancelled": True})
    return Done(f"task {task_id} had ended before", {"cancelled": False}, fine=False)


@click.command()
@ids_argument
@look_options
def delete(task_ids: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Delete tasks that have ended.

    Their results and attempts go with them; nothing brings them back.

    \b
    Examples:
      actors delete 01890a5d-ac96-774b-bcce-b302099a8057
      actors delete 01890a5d-ac96-774b-bcce-b302099a8057 --json

    Exit code 1 if one of them is not stored, or cannot be deleted.
    """
    do_each(database, task_ids, _delete, as_json)


async def _delete(app: TaskSystem, task_id: str) -> Done:
    await app.delete(task_id)
    return Done("is deleted", {"deleted": True})


@click.command()
@click.option(
    "--completed-older-than", metavar="TIME", type=values.duration, help="[default: TASK_CLEANUP_DAYS, else 7d]"
)
@click.option(
    "--failed-older-than", metavar="TIME", type=values.duration, help="[default: TASK_FAILED_CLEANUP_DAYS, else 30d]"
)
@look_options
def cleanup(
    completed_older_than: float | None, failed_older_than: float | None, database: str | None, as_json: bool
) -> None:
    """Delete tasks that ended long ago.

    It does not ask, and says how many there were. Cancelled tasks go with the completed, timed out ones with the
    failed. A node does this by itself, once an hour.

    \b
    Examples:
      actors cleanup
      actors cleanup --completed-older-than 7d --failed-older-than 30d
      actors cleanup --completed-older-than 1h30m --json
    """
    completed, failed = beside(database, lambda app: _clean_up(app, completed_older_than, failed_older_than))
    if as_json:
        say(json_text.one({"completed": completed, "failed": failed}))
    else:
        say(f"deleted {completed:,} completed or cancelled, {failed:,} failed or timed out")


async def _clean_up(app: TaskSystem, completed: float | None, failed: float | None) -> tuple[int, int]:
    """One kind after the other, so that they are counted apart; nothing is older than the other kind's limit then."""
    return (
        await app.cleanup(completed_older_than=completed, failed_older_than=LONGEST_SECONDS),
        await app.cleanup(completed_older_than=LONGEST_SECONDS, failed_older_than=failed),
    )

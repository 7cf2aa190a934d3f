"""One thing done to several tasks, each on its own: what was refused for one is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from ..core.errors import IllegalTransition, TaskNotFound
from . import json_text, values
from .opening import beside
from .terminal import complain, say

if TYPE_CHECKING:
    from ..app import TaskSystem

ids_argument = click.argument("task_ids", metavar="ID...", type=values.task_id, nargs=-1, required=True)


@attrs.frozen
class Done:
    """What became of one: *text* is for people, *fields* for JSON; *fine* is False if it was not done."""

    text: str
    fields: Mapping[str, Any]
    fine: bool = True


def do_each(
    database: str | None,
    task_ids: Sequence[str],
    act: Callable[[TaskSystem, str], Awaitable[Done]],
    as_json: bool,
) -> None:
    """Do *act* to each task, and tell what became of it; leaves with 1 if something was not done to one of them."""

    async def all_of_them(app: TaskSystem) -> list[Done]:
        return [await _do(app, task_id, act) for task_id in task_ids]

    done = beside(database, all_of_them)
    if as_json:
        say(json_text.array([{"task_id": task_id, **one.fields} for task_id, one in zip(task_ids, done, strict=True)]))
    for task_id, one in zip(task_ids, done, strict=True):
        if not one.fine:
            complain(one.text)
        elif not as_json:
            say(f"{task_id} {one.text}")
    if not all(one.fine for one in done):
        raise click.exceptions.Exit(1)


async def _do(app: TaskSystem, task_id: str, act: Callable[[TaskSystem, str], Awaitable[Done]]) -> Done:
    try:
        return await act(app, task_id)
    except (TaskNotFound, IllegalTransition) as error:
        return Done(str(error), {"error": str(error)}, fine=False)

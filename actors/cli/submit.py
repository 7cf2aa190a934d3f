"""`actors submit`: store a task, and wait for it if that is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ..core.request import TaskRequest
from ..core.task import TaskStatus
from . import json_text, values
from .loading import app_argument, load
from .opening import database_option, json_option
from .terminal import complain, say

if TYPE_CHECKING:
    from ..app import TaskSystem
    from ..ticket import Ticket


@click.command()
@app_argument
@click.argument("task_type", metavar="TYPE")
@click.argument("input_data", metavar="[JSON]", type=values.json_object, default="{}")
@click.option("--wait", is_flag=True, help="Wait for the end and print the result; the id goes to stderr.")
@click.option("--priority", metavar="N", type=values.priority, help="0 to 100, or low, normal, high, urgent.")
@click.option("--delay", metavar="TIME", type=values.duration, help="Start no sooner than after this.")
@click.option(
    "--key", metavar="TEXT", help="At most one task of this type and key is alive; else the id is that one's."
)
@click.option("--expires", metavar="TIME", type=values.future, help="Start no later than then, or after this.")
@click.option("--max-retries", metavar="N", type=click.IntRange(min=0), help="How often it is tried again.")
@click.option("--timeout", metavar="TIME", type=values.time_limit, help="Of each attempt; none for no limit.")
@click.option(
    "--id", "task_id", metavar="UUID", type=values.task_id, help="Of your own: a second submit is the same task."
)
@click.option("--metadata", metavar="JSON", type=values.json_object, help="An object to be kept with the task.")
@database_option
@json_option
def submit(
    app_name: tuple[str, str], wait: bool, delay: float | None, expires: datetime | None, database: str | None,
    as_json: bool, timeout: float | None, **given: Any,
) -> None:  # fmt: skip
    """Store a task of MODULE:APP, and print its id.

    TYPE is a task type that is declared there; JSON is an object with the handler's parameters, {} by default, or -
    to read it from stdin. What does not fit the handler is refused, and nothing stored. A TIME is 90, 90s, 15m, 1h30m
    or 7d.

    \b
    Examples:
      actors submit service.tasks:app greet '{"name": "trio"}'
      actors submit service.tasks:app greet '{"name": "trio"}' --wait
      actors submit service.tasks:app mirror - --priority high < mirror.json
      actors submit service.tasks:app report --key nightly --delay 2h --expires 1d

    With --wait, exit code 1 if the task does not complete; Ctrl-C ends the waiting (130), and the task goes on.
    """
    import trio

    app = load(app_name)
    request = TaskRequest(
        run_at=None if delay is None else datetime.now(UTC) + timedelta(seconds=delay),
        expires_at=expires,
        timeout_seconds=timeout,
        **given,
    )
    trio.run(_submit, app, request, database, wait, as_json)


async def _submit(app: TaskSystem, request: TaskRequest, database: str | None, wait: bool, as_json: bool) -> None:
    async with app.running(work=False, database_url=database):
        ticket = await app.submit(request)
        if wait:
            complain(
                f"task {ticket.task_id} is stored" if ticket.created else f"task {ticket.task_id} was there before"
            )
            await _see_the_end(app, ticket, as_json)
        elif as_json:
            say(json_text.one({"task_id": ticket.task_id, "created": ticket.created}))
        else:
            say(ticket.task_id)


async def _see_the_end(app: TaskSystem, ticket: Ticket[Any], as_json: bool) -> None:
    """Print what the task came to.

    Raises:
        UnsuccessfulTask: it did not complete.
    """
    if not any(node.alive for node in await app.nodes()):
        complain("no node works on this database now; the task waits for one: actors work MODULE:APP")
    try:
        task = await ticket.wait()
    except KeyboardInterrupt:
        complain(f"task {ticket.task_id} goes on; nobody waits for it any more")
        raise
    if as_json:
        say(json_text.one(task))
    elif task.status is TaskStatus.COMPLETED:
        say(json_text.one(task.result_data))
    if task.status is not TaskStatus.COMPLETED:
        await ticket.result()

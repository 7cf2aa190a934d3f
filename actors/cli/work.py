"""`actors work`: a node in a process of its own."""

from __future__ import annotations

import gc
import signal
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

import click

from .. import __version__
from ..core.errors import NotRunning
from ..core.printable import plain
from . import values
from .loading import app_argument, load
from .logs import log_to_stderr
from .opening import database_option
from .terminal import say

if TYPE_CHECKING:
    import trio

    from ..app import TaskSystem


@click.command()
@app_argument
@database_option
@click.option(
    "--grace",
    metavar="TIME",
    type=values.duration,
    help="How long a stop leaves to the tasks that run. [default: TASK_GRACE_SECONDS, else 30s]",
)
def work(app_name: tuple[str, str], database: str | None, grace: float | None) -> None:
    """Run a node that works on the tasks of MODULE:APP.

    APP is a TaskSystem. MODULE is looked for in the current folder first. The first SIGINT (Ctrl-C) or
    SIGTERM stops the node in order: nothing new is
    started, and the tasks that run are told to stop and have the grace time to do so. A second signal ends that. What
    has not ended then goes back to PENDING, its retries untouched; so does what runs when the process is killed.

    \b
    Examples:
      actors work service.tasks:app
      actors work service.tasks:app --database sqlite:////var/lib/service/tasks.db
      actors work service.tasks:app --grace 2m

    Log lines go to stderr, unless the service has set up its logging. Exit codes: 0 stopped in order, 1 it could not
    start or has failed, 2 wrong usage.
    """
    import trio

    app = load(app_name)
    if not app.task_types:
        raise click.ClickException(
            f"{':'.join(app_name)} has no task declared; import what declares them in its module"
        )
    log_to_stderr()
    trio.run(_serve, app, database, app.settings.grace_seconds if grace is None else grace)


async def _serve(app: TaskSystem, database: str | None, grace: float) -> None:
    """Serve until a signal; signals are heeded from the start to the end."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heed, signals, app, grace, nursery.cancel_scope)
            await _run(app, database)
            nursery.cancel_scope.cancel()


async def _run(app: TaskSystem, database: str | None) -> None:
    import trio

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(app.serve, database_url=database))
        _settle_in()
        _greet(app)
    say("stopped")


def _settle_in() -> None:
    """Spare the garbage collector what the start has made, which stays: a full collection stops all tasks meanwhile."""
    gc.collect()
    gc.freeze()


def _greet(app: TaskSystem) -> None:
    lanes = ", ".join(f"{plain(name)} {slots}" for name, slots in app.lanes.items())
    node = app.running_node
    say(f"actors {__version__} works on {plain(node.database)} as {plain(node.name)}")
    say(f"lanes: {lanes}; task types: {', '.join(map(plain, app.task_types))}")


async def heed(signals: AsyncIterator[int], app: TaskSystem, grace: float, scope: trio.CancelScope) -> None:
    """The first signal stops in order, the next ends the grace time; one that comes before the start ends that."""
    first = True
    async for number in signals:
        name = signal.Signals(number).name
        try:
            if first:
                say(f"{name}: stopping in order; {_left(app.metrics().running_tasks, grace)}")
            else:
                say(f"{name} again: the grace time is over")
            app.stop(grace if first else None)
        except NotRunning:
            scope.cancel()
        first = False


def _left(tasks: int, grace: float) -> str:
    if not tasks:
        return "no task runs"
    return f"{tasks} running {'task has' if tasks == 1 else 'tasks have'} {grace:g} s to end; again ends that time"

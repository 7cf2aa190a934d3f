"""The task system that the workloads run: a no-op coroutine on a database, as a user would declare it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from actors import DeclaredTask, Settings, TaskSystem


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one workload's databases."""
    with tempfile.TemporaryDirectory(prefix="actors-bench-") as folder:
        yield Path(folder)


@contextmanager
def files() -> Iterator[Callable[[str], Path]]:
    """Gives the path of a new database file, by a name; the files are gone on leaving."""
    with scratch() as folder:
        yield lambda name: folder / f"{name}.db"


def system(database: Path | str) -> tuple[TaskSystem, DeclaredTask[[int], None]]:
    """A task system on *database*, a file or a server's URL, durable as by default, and its one task."""
    url = database if isinstance(database, str) else f"sqlite:///{database}"
    app = TaskSystem(url, settings=Settings())

    async def nothing(number: int) -> None:
        """Do nothing."""

    return app, app.task(nothing)


async def settled(app: TaskSystem, count: int, every: float = 0.01) -> None:
    """Wait until *count* tasks have completed, as the counters in the database say, *every* so many seconds."""
    while (await app.statistics()).success_count < count:  # noqa: ASYNC110  # the stored truth; events would add to the load
        await trio.sleep(every)

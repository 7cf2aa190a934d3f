"""The task system that the workloads run: a no-op coroutine on a file database, as a user would declare it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from actors import DeclaredTask, Settings, TaskSystem


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one workload's databases."""
    with tempfile.TemporaryDirectory(prefix="actors-bench-") as folder:
        yield Path(folder)


def system(path: Path) -> tuple[TaskSystem, DeclaredTask[[int], None]]:
    """A task system on *path*, durable as by default (`synchronous=FULL`), and its one task."""
    app = TaskSystem(f"sqlite:///{path}", settings=Settings())

    async def nothing(number: int) -> None:
        """Do nothing."""

    return app, app.task(nothing)


async def settled(app: TaskSystem, count: int) -> None:
    """Wait until *count* tasks have completed, as the counters in the database say."""
    while (await app.statistics()).success_count < count:  # noqa: ASYNC110  # the stored truth; events would add to the load
        await trio.sleep(0.01)

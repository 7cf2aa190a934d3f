"""Attempts in child processes, and what is left of these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from actors import ExecutionMode
from actors.core.outcome import Finished, Raised
from actors.execution.attempt import Attempt
from actors.execution.handler import Handler
from actors.execution.process.outfit import Outfit
from actors.execution.process.pool import Pool
from tests.execution import process_handlers
from tests.execution.world import Runs, handler
from tests.waiting import until

SOON = 10.0
"""Seconds within which everything here has happened, on a machine that is busy."""


def in_process(function: Callable[..., Any], task_type: str | None = None, **options: Any) -> Handler:
    """A handler of mode process; its task type is its function's name."""
    return handler(function, task_type or function.__name__, mode=ExecutionMode.PROCESS, **options)


def handlers() -> dict[str, Handler]:
    """All functions of the module that can be declared, by name."""
    names = [name for name, value in vars(process_handlers).items() if is_handler(name, value)]
    found = [in_process(getattr(process_handlers, name), name) for name in names]
    return {one.task_type: one for one in found}


def is_handler(name: str, value: Any) -> bool:
    """Whether *value* is a function of the module that is meant to run in a child."""
    mine = getattr(value, "__module__", None) == process_handlers.__name__ and callable(value)
    helpers = {"have_a_family", "touch", "touch_and_sleep", "decorated", "nested"}
    others = {*helpers, "a_lambda", "original", "replaced", "partial"}
    return mine and not isinstance(value, type) and name not in others


class Processes(Runs):
    """Makes attempts that run in the children of a pool."""

    def __init__(self, pool: Pool, known: dict[str, Handler]) -> None:
        super().__init__(pool=pool)
        self.known = known

    def call(self, function: Callable[..., Any], *, limits: dict[str, Any] | None = None, **payload: Any) -> Attempt:
        """An attempt at *function*."""
        name = next(name for name, one in self.known.items() if one.function == function)
        return self.attempt(
            self.known[name], task_type=name, lane="process", mode="process", input_data=orjson.dumps(payload).decode(),
            **(limits or {}),
        )  # fmt: skip

    async def result(self, function: Callable[..., Any], **payload: Any) -> Any:
        """What *function* returns."""
        outcome = await self.call(function, **payload).run()
        assert isinstance(outcome, Finished), outcome
        return orjson.loads(outcome.result)

    async def raised(self, function: Callable[..., Any], **payload: Any) -> Raised:
        """What *function* raises."""
        outcome = await self.call(function, **payload).run()
        assert isinstance(outcome, Raised), outcome
        return outcome


@asynccontextmanager
async def processes(
    known: dict[str, Handler] | None = None,
    *,
    slots: int = 2,
    calls_per_child: int = 100,
    outfit: Outfit | None = None,
    memory_limit: float | None = None,
) -> AsyncIterator[Processes]:
    """A pool that runs, and afterwards the proof that nothing is left of it."""
    before, strangers = open_files(), set(psutil.Process().children(recursive=True))
    chosen = handlers() if known is None else known
    pool = Pool(chosen, slots, calls_per_child, outfit, memory_limit)
    async with pool.running():
        yield Processes(pool, chosen)
    assert pool.children == []
    assert set(psutil.Process().children(recursive=True)) <= strangers  # what a test that ran out of time left behind
    assert open_files() <= before, named_files()  # fewer, if what an earlier test has forgotten was collected


def named_files() -> list[str]:
    """What they are, where the system tells."""
    folder = Path("/proc/self/fd")
    return sorted(str(file.readlink()) for file in folder.iterdir() if file.is_symlink()) if folder.exists() else []


def open_files() -> int:
    """How many descriptors this process has."""
    return psutil.Process().num_fds()


async def begun(path: Path) -> list[int]:
    """Wait until a handler has touched *path*; the numbers that it wrote there."""
    await until(path.exists)
    return numbers_in(path)


def numbers_in(path: Path) -> list[int]:
    """What stands in the file."""
    return [int(word) for word in path.read_text().split()]


def lives(pid: int) -> bool:
    """Whether there is such a process, other than a zombie that its new parent has yet to reap."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

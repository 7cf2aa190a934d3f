"""What handlers in child processes share, variables that travel to them, and handlers that look at both.

A child imports this: nothing here may import trio.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import actors
from actors import TaskContext, TaskRequest
from tests.execution.process_handlers import touch

FOLDER: Final = "ACTORS_TEST_FOLDER"
"""The environment variable in which these find the folder where they note what they do."""
tenant: ContextVar[Any] = ContextVar("tenant", default="nobody")
nested = {"variable": ContextVar[str]("nested")}
kept: list[bytearray] = []


def folder() -> Path:
    return Path(os.environ[FOLDER])


def note(words: str) -> None:
    with open(folder() / "notes", "a") as file:
        file.write(f"{os.getpid()} {words}\n")


def pool() -> Iterator[str]:
    """A generator function as it stands; it sets a variable for as long as it is open."""
    note("opens pool")
    token = tenant.set("the pool's")
    try:
        yield "POOL"
    finally:
        tenant.reset(token)
        note("closes pool")


@contextmanager
def http() -> Iterator[str]:
    note("opens http")
    try:
        yield "HTTP"
    finally:
        note("closes http")


class Plain:
    """A plain context manager by a class, which gives itself."""

    def __enter__(self) -> str:
        return "by class"

    def __exit__(self, *_: object) -> None: ...


class Async:
    """An async one."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@asynccontextmanager
async def stream() -> AsyncIterator[None]:
    yield


async def bare_stream() -> AsyncIterator[None]:
    yield


def stream_in_disguise() -> AbstractAsyncContextManager[None]:
    return stream()


def five_over_there() -> Any:
    """What cannot be entered, but in the node."""
    return 5 if os.getpid() == os.getsid(0) else Plain()


def flaky() -> Iterator[str]:
    """What cannot be opened until a file says so."""
    if not (folder() / "repaired").exists():
        raise ConnectionError("no route to host")
    yield "repaired"


class MissingKey(Plain):
    """What cannot be opened for want of a key of its own."""

    def __enter__(self) -> str:
        raise KeyError("a key of its own")


def broken() -> Iterator[str]:
    """What cannot be closed."""
    yield "open"
    raise OSError("connection lost")


def stubborn() -> Iterator[str]:
    """What closes too slowly."""
    yield "open"
    note("closes stubborn")
    time.sleep(60)


def use(ctx: TaskContext, names: list[str]) -> list[str]:
    return [ctx.resources[name] for name in names]


def use_or(ctx: TaskContext, name: str) -> Any:
    return ctx.resources.get(name, "another")


def look(ctx: TaskContext) -> list[Any]:
    found = ctx.resources
    return [list(found), len(found), [name in found for name in ("pool", "stream", "none")], repr(found)]


def pid() -> int:
    return os.getpid()


def modules(ctx: TaskContext) -> list[str]:
    dict(ctx.resources)
    return sorted(sys.modules)


def fork_and_leave(ctx: TaskContext) -> int:
    """Have a copy of this process come out of the handler, and another one end as multiprocessing does."""
    assert ctx.resources["pool"] == "POOL"
    multiprocessing.get_context("fork").Process(target=touch, args=(str(folder() / "copied"),)).start()
    process = os.fork()
    if process == 0:
        assert ctx.resources["pool"] == "POOL"
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def variable() -> Any:
    return tenant.get()


def change(ctx: TaskContext, to: str) -> str:
    """Set the variable, and submit a task that looks at it."""
    tenant.set(to)
    return ctx.submit(TaskRequest("variable"))


def current_of(ctx: TaskContext) -> bool:
    return ctx is actors.current()


def leak(mb: int) -> int:
    kept.append(bytearray(b"x") * (mb * 1_000_000))
    return os.getpid()


def hold(path: str, mb: int) -> int:
    """Use memory until a file says that it is enough."""
    held = bytearray(b"x") * (mb * 1_000_000)
    touch(path)
    while not os.path.exists(f"{path}.enough"):
        time.sleep(0.002)
    return os.getpid() if held else 0


a_lambda: Callable[[], Plain] = lambda: Plain()  # noqa: E731  # that is what is tried

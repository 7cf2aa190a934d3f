"""What the handlers of the stop contract do, for each way to run them. At the top of a module: a process imports them.

- finishes: returns. raises: raises. unstorable: returns what JSON cannot keep.
- obeys: works until it is told to stop, and gives up. tidies: does so too, and returns what it has.
- lasts: takes a while, whatever it is told.
- ignores: takes no notice of the soft stage. defies: nor of the hard one, as far as that can be.

Those that run for long say so by their progress.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import trio

from actors import TaskContext

LASTING = 0.4
"""Seconds."""
DEFIANT = 1.8
"""Seconds after which even those who defy everything end, so that a test can see that all is whole again."""


def _hear(ctx: TaskContext) -> None:
    ctx.progress(0.5)


async def _finishes(ctx: TaskContext) -> str:
    return "done"


async def _raises(ctx: TaskContext) -> None:
    raise ValueError("no such page")


async def _unstorable(ctx: TaskContext):  # type: ignore[no-untyped-def]  # its annotation would be refused
    return object()


async def _trio_obeys(ctx: TaskContext) -> None:
    _hear(ctx)
    with ctx.until_stopping():
        await trio.sleep_forever()
    ctx.check()


async def _trio_tidies(ctx: TaskContext) -> str:
    _hear(ctx)
    with ctx.until_stopping():
        await trio.sleep_forever()
    return "in part"


async def _trio_lasts(ctx: TaskContext) -> str:
    _hear(ctx)
    await trio.sleep(LASTING)
    return "done"


async def _trio_ignores(ctx: TaskContext) -> None:
    _hear(ctx)
    await trio.sleep_forever()


async def _trio_defies(ctx: TaskContext) -> str:
    _hear(ctx)
    with trio.CancelScope(shield=True):
        await trio.sleep(DEFIANT)
    return "too late"


async def _asyncio_obeys(ctx: TaskContext) -> None:
    _hear(ctx)
    async with ctx.until_stopping():
        await asyncio.sleep(3600)
    ctx.check()


async def _asyncio_tidies(ctx: TaskContext) -> str:
    _hear(ctx)
    async with ctx.until_stopping():
        await asyncio.sleep(3600)
    return "in part"


async def _asyncio_lasts(ctx: TaskContext) -> str:
    _hear(ctx)
    await asyncio.sleep(LASTING)
    return "done"


async def _asyncio_ignores(ctx: TaskContext) -> None:
    _hear(ctx)
    await asyncio.sleep(3600)


async def _asyncio_defies(ctx: TaskContext) -> str:
    _hear(ctx)
    end = trio.current_time() + DEFIANT
    while (left := end - trio.current_time()) > 0:
        with suppress(asyncio.CancelledError):  # the fault that this is about
            await asyncio.sleep(left)
    return "too late"


def _plain_finishes(ctx: TaskContext) -> str:
    return "done"


def _plain_raises(ctx: TaskContext) -> None:
    raise ValueError("no such page")


def _plain_unstorable(ctx: TaskContext):  # type: ignore[no-untyped-def]  # its annotation would be refused
    return object()


def _plain_obeys(ctx: TaskContext) -> None:
    _hear(ctx)
    while True:
        ctx.check()
        time.sleep(0.005)


def _plain_tidies(ctx: TaskContext) -> str:
    _hear(ctx)
    while ctx.stopping is None:
        time.sleep(0.005)
    return "in part"


def _plain_lasts(ctx: TaskContext) -> str:
    _hear(ctx)
    time.sleep(LASTING)
    return "done"


def _plain_defies(ctx: TaskContext) -> str:
    _hear(ctx)
    time.sleep(DEFIANT)
    return "too late"


Bodies = Mapping[str, Callable[..., Any]]

COROUTINE: Bodies = {
    "finishes": _finishes, "raises": _raises, "unstorable": _unstorable, "obeys": _trio_obeys, "tidies": _trio_tidies,
    "lasts": _trio_lasts, "ignores": _trio_ignores, "defies": _trio_defies,
}  # fmt: skip
ASYNCIO: Bodies = {
    "finishes": _finishes, "raises": _raises, "unstorable": _unstorable, "obeys": _asyncio_obeys,
    "tidies": _asyncio_tidies, "lasts": _asyncio_lasts, "ignores": _asyncio_ignores, "defies": _asyncio_defies,
}  # fmt: skip
PLAIN: Bodies = {
    "finishes": _plain_finishes, "raises": _plain_raises, "unstorable": _plain_unstorable, "obeys": _plain_obeys,
    "tidies": _plain_tidies, "lasts": _plain_lasts, "ignores": _plain_defies, "defies": _plain_defies,
}  # fmt: skip
"""For threads and processes; what takes no notice of the soft stage takes none of anything."""

"""What the handlers of the stop contract do, for each way to run them; those that are plain functions in `stop_plain`.

- finishes: returns. raises: raises. unspeakable: raises what cannot be described. unstorable: returns what JSON cannot
  keep.
- obeys: works until it is told to stop, and gives up. tidies: does so too, and returns what it has.
- lasts: takes a while, whatever it is told.
- ignores: takes no notice of the soft stage. defies: nor of the hard one, as far as that can be.

Those that run for long say so by their progress.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import trio

from actors import TaskContext
from tests.app.stop_plain import DEFIANT, LASTING, Bodies, Unspeakable, hear


async def _finishes(ctx: TaskContext) -> str:
    return "done"


async def _raises(ctx: TaskContext) -> None:
    raise ValueError("no such page")


async def _unspeakable(ctx: TaskContext) -> None:
    raise Unspeakable


async def _unstorable(ctx: TaskContext):  # type: ignore[no-untyped-def]  # its annotation would be refused
    return object()


async def _trio_obeys(ctx: TaskContext) -> None:
    hear(ctx)
    with ctx.until_stopping():
        await trio.sleep_forever()
    ctx.check()


async def _trio_tidies(ctx: TaskContext) -> str:
    hear(ctx)
    with ctx.until_stopping():
        await trio.sleep_forever()
    return "in part"


async def _trio_lasts(ctx: TaskContext) -> str:
    hear(ctx)
    await trio.sleep(LASTING)
    return "done"


async def _trio_ignores(ctx: TaskContext) -> None:
    hear(ctx)
    await trio.sleep_forever()


async def _trio_defies(ctx: TaskContext) -> str:
    hear(ctx)
    with trio.CancelScope(shield=True):
        await trio.sleep(DEFIANT)
    return "too late"


async def _asyncio_obeys(ctx: TaskContext) -> None:
    hear(ctx)
    async with ctx.until_stopping():
        await asyncio.sleep(3600)
    ctx.check()


async def _asyncio_tidies(ctx: TaskContext) -> str:
    hear(ctx)
    async with ctx.until_stopping():
        await asyncio.sleep(3600)
    return "in part"


async def _asyncio_lasts(ctx: TaskContext) -> str:
    hear(ctx)
    await asyncio.sleep(LASTING)
    return "done"


async def _asyncio_ignores(ctx: TaskContext) -> None:
    hear(ctx)
    await asyncio.sleep(3600)


async def _asyncio_defies(ctx: TaskContext) -> str:
    hear(ctx)
    end = trio.current_time() + DEFIANT
    while (left := end - trio.current_time()) > 0:
        with suppress(asyncio.CancelledError):  # the fault that this is about
            await asyncio.sleep(left)
    return "too late"


COROUTINE: Bodies = {
    "finishes": _finishes, "raises": _raises, "unspeakable": _unspeakable, "unstorable": _unstorable,
    "obeys": _trio_obeys, "tidies": _trio_tidies, "lasts": _trio_lasts, "ignores": _trio_ignores,
    "defies": _trio_defies,
}  # fmt: skip
ASYNCIO: Bodies = {
    **COROUTINE, "obeys": _asyncio_obeys, "tidies": _asyncio_tidies, "lasts": _asyncio_lasts,
    "ignores": _asyncio_ignores, "defies": _asyncio_defies,
}  # fmt: skip

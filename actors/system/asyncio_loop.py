"""The asyncio loop of a node, if any of its handlers needs one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..core.task import ExecutionMode
from ..execution.handler import Handler

if TYPE_CHECKING:
    from ..execution.aio import AsyncioLoop


@asynccontextmanager
async def asyncio_loop(handlers: Iterable[Handler]) -> AsyncIterator[AsyncioLoop | None]:
    """An open loop while the block runs, or None; on leaving, which takes at most half a second, it is closed."""
    if not any(handler.mode is ExecutionMode.ASYNCIO for handler in handlers):
        yield None
        return
    from ..execution.aio import AsyncioLoop

    loop = AsyncioLoop()
    try:
        await loop.open()
        yield loop
    finally:
        await loop.close()

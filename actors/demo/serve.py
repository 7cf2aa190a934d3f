"""A Hypercorn server on trio: on this machine alone, on any free port."""

from __future__ import annotations

import hypercorn.trio
import trio
from hypercorn.config import Config
from starlette.types import ASGIApp


async def serve(app: ASGIApp, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve *app* until cancelled; `nursery.start` gives its URL."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None  # or it says on stderr where it runs
    async with trio.open_nursery() as nursery:
        binds = await nursery.start(_start, app, config)
        task_status.started(binds[0])


async def _start(app: ASGIApp, config: Config, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await hypercorn.trio.serve(app, config, mode="asgi", task_status=task_status)  # type: ignore[arg-type]

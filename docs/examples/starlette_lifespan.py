"""A Starlette service for a server that is started from the command line, and so enters the tasks by lifespan.

    hypercorn --worker-class trio --workers 1 starlette_lifespan:web

One worker: of the processes on one SQLite file only one may run tasks. DATABASE_URL is where they are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from actors import TaskSystem

tasks = TaskSystem()


@tasks.task(timeout=None)
async def greet(name: str, seconds: float = 0) -> str:
    """Stands for work that takes a while."""
    await trio.sleep(seconds)
    return f"hello {name}"


async def submit(request: Request) -> PlainTextResponse:
    """`POST /greet/{name}`; 202 with the task's id once it is stored."""
    ticket = await greet.submit(request.path_params["name"], float(request.query_params.get("seconds", 0)))
    return PlainTextResponse(ticket.task_id, 202)


@asynccontextmanager
async def lifespan(web: Starlette) -> AsyncIterator[None]:
    """From before the first request until after the last one."""
    async with tasks.running():
        yield


web = Starlette(routes=[Route("/greet/{name}", submit, methods=["POST"])], lifespan=lifespan)

"""A Starlette service whose background work survives it: submit a task, look at it, cancel it.

    python starlette_service.py

BIND is where it listens (127.0.0.1:8000), DATABASE_URL where its tasks are kept (sqlite:///actors.db).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from actors import Task, TaskContext, TaskRequest, TaskSystem
from actors.errors import ActorsError, TaskNotFound

tasks = TaskSystem()


@tasks.task(timeout=None)
async def render(ctx: TaskContext, pages: int) -> str:
    """Stands for work that takes a while: a tenth of a second a page."""
    for page in range(pages):
        ctx.check()  # ends it here when it is cancelled, or when the service stops
        ctx.progress(page / pages, f"page {page + 1} of {pages}")
        await trio.sleep(0.1)
    return f"{pages} pages"


async def submit(request: Request) -> JSONResponse:
    """`POST /tasks` with the task's input as JSON; 202 once the task is stored."""
    try:
        ticket = await tasks.submit(TaskRequest("render", await request.json()))
    except (ActorsError, ValueError) as error:
        raise HTTPException(422, str(error)) from None
    return JSONResponse({"task_id": ticket.task_id}, 202, {"location": f"/tasks/{ticket.task_id}"})


async def show(request: Request) -> JSONResponse:
    """`GET /tasks/{task_id}`: where it stands."""
    task = await tasks.get(request.path_params["task_id"])
    if task is None:
        raise HTTPException(404, "no such task")
    return JSONResponse(shown(task))


async def cancel(request: Request) -> JSONResponse:
    """`DELETE /tasks/{task_id}`: 202, or 409 if it had ended before."""
    try:
        taken = await tasks.cancel(request.path_params["task_id"])
    except TaskNotFound as error:
        raise HTTPException(404, str(error)) from None
    return JSONResponse({"cancelled": taken}, 202 if taken else 409)


def shown(task: Task) -> Mapping[str, Any]:
    """What clients see of a task."""
    return {
        "task_id": task.task_id,
        "status": task.status.value,
        "attempt": task.attempt,
        "progress": task.progress.message if task.progress else None,
        "result": task.result_data,
        "error": task.error_info.message if task.error_info else None,
    }


web = Starlette(
    routes=[
        Route("/tasks", submit, methods=["POST"]),
        Route("/tasks/{task_id}", show, methods=["GET"]),
        Route("/tasks/{task_id}", cancel, methods=["DELETE"]),
    ]
)


async def interrupted() -> None:
    """Wait for the first Ctrl-C or SIGTERM; a second Ctrl-C is Python's own again, and cuts the tasks' grace time."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def main() -> None:
    """Serve until interrupted. The server stops first, the tasks after it: no request finds them gone."""
    config = Config()
    config.bind = [os.environ.get("BIND", "127.0.0.1:8000")]
    async with tasks.running():
        await serve(web, config, shutdown_trigger=interrupted)  # type: ignore[arg-type]  # Starlette is an ASGI app


if __name__ == "__main__":
    trio.run(main)

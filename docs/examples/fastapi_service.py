"""The same service with FastAPI: the body of a request is checked before the task is made.

    python fastapi_service.py

BIND is where it listens (127.0.0.1:8000), DATABASE_URL where its tasks are kept (sqlite:///actors.db).
"""

from __future__ import annotations

import os
import signal
from typing import Any

import trio
from fastapi import FastAPI, HTTPException, Response
from hypercorn.config import Config
from hypercorn.trio import serve
from pydantic import BaseModel, Field

from actors import TaskContext, TaskStatus, TaskSystem
from actors.errors import TaskNotFound

tasks = TaskSystem()
web = FastAPI()


@tasks.task(timeout=None)
async def render(ctx: TaskContext, pages: int) -> str:
    """Stands for work that takes a while: a tenth of a second a page."""
    for page in range(pages):
        ctx.check()  # ends it here when it is cancelled, or when the service stops
        ctx.progress(page / pages, f"page {page + 1} of {pages}")
        await trio.sleep(0.1)
    return f"{pages} pages"


class Order(BaseModel):
    """What clients send."""

    pages: int = Field(gt=0)


class Shown(BaseModel):
    """What clients see of a task."""

    task_id: str
    status: TaskStatus
    attempt: int = 0
    progress: str | None = None
    result: Any = None
    error: str | None = None


@web.post("/tasks", status_code=202)
async def submit(order: Order, response: Response) -> Shown:
    """202 once the task is stored."""
    ticket = await render.submit(pages=order.pages)
    response.headers["location"] = f"/tasks/{ticket.task_id}"
    return Shown(task_id=ticket.task_id, status=TaskStatus.PENDING)


@web.get("/tasks/{task_id}")
async def show(task_id: str) -> Shown:
    """Where the task stands."""
    task = await tasks.get(task_id)
    if task is None:
        raise HTTPException(404, "no such task")
    return Shown(
        task_id=task.task_id,
        status=task.status,
        attempt=task.attempt,
        progress=task.progress.message if task.progress else None,
        result=task.result_data,
        error=task.error_info.message if task.error_info else None,
    )


@web.delete("/tasks/{task_id}", status_code=202)
async def cancel(task_id: str) -> dict[str, bool]:
    """202, or 409 if the task had ended before."""
    try:
        taken = await tasks.cancel(task_id)
    except TaskNotFound as error:
        raise HTTPException(404, str(error)) from None
    if not taken:
        raise HTTPException(409, "the task has ended")
    return {"cancelled": True}


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
        await serve(web, config, shutdown_trigger=interrupted)  # type: ignore[arg-type]  # FastAPI is an ASGI app


if __name__ == "__main__":
    trio.run(main)

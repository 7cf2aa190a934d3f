"""Starlette and FastAPI on Hypercorn's trio worker, with a task system around them, over real sockets."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from actors import TaskStatus
from tests.embedding.conftest import Start
from tests.embedding.service import Service, eventually, stored

pytestmark = pytest.mark.parametrize("example", ["starlette_service.py", "fastapi_service.py"])

S = TaskStatus
AGES = 10_000
"""Pages that are never done in a test's time."""


class Client:
    """What someone does who has a task done."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def submit(self, pages: int) -> str:
        answer = await self.http.post("/tasks", json={"pages": pages})
        assert answer.status_code == 202, answer.text
        task_id = str(answer.json()["task_id"])
        assert answer.headers["location"] == f"/tasks/{task_id}"
        return task_id

    async def show(self, task_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def until(self, task_id: str, status: TaskStatus) -> dict[str, Any]:
        """What is shown when *status* is reached."""

        async def reached() -> bool:
            return bool((await self.show(task_id))["status"] == status.value)

        await eventually(reached)
        return await self.show(task_id)


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    """A client that keeps its connection open."""
    async with httpx.AsyncClient(base_url=service.url) as http:
        yield Client(http)


async def test_a_task_is_submitted_watched_and_done(start: Start, example: str) -> None:
    async with start(example) as service, client_of(service) as client:
        task_id = await client.submit(pages=4)

        async def under_way() -> bool:
            return "of 4" in str((await client.show(task_id))["progress"])

        await eventually(under_way)
        done = await client.until(task_id, S.COMPLETED)
        assert (done["result"], done["error"], done["attempt"]) == ("4 pages", None, 1)


async def test_a_task_is_cancelled_once(start: Start, example: str) -> None:
    async with start(example) as service, client_of(service) as client:
        task_id = await client.submit(pages=AGES)
        await client.until(task_id, S.RUNNING)
        assert (await client.http.delete(f"/tasks/{task_id}")).status_code == 202
        await client.until(task_id, S.CANCELLED)
        assert (await client.http.delete(f"/tasks/{task_id}")).status_code == 409


async def test_what_cannot_be_is_refused_in_words_and_not_stored(start: Start, example: str, file_url: str) -> None:
    async with start(example) as service, client_of(service) as client:
        for body in ({"pages": "many"}, {}):
            answer = await client.http.post("/tasks", json=body)
            assert (answer.status_code, "pages" in answer.text) == (422, True)
        assert (await client.http.post("/tasks", content=b"{")).status_code == 422
        for method in ("GET", "DELETE"):
            assert (await client.http.request(method, "/tasks/no-such-task")).status_code == 404
        assert await service.interrupt() == 0
    assert await stored(file_url) == []


async def test_ctrl_c_ends_it_cleanly_and_the_task_goes_on_at_the_next_start(
    start: Start, example: str, file_url: str
) -> None:
    async with start(example) as service, client_of(service) as client:
        running = await client.submit(pages=AGES)
        await client.until(running, S.RUNNING)
        assert await service.interrupt() == 0, "a connection that is kept open does not hold it up"
        assert "Traceback" not in service.said
    (task,) = await stored(file_url)
    assert (task.status, task.attempt, task.retry_count) == (S.PENDING, 1, 0)
    async with start(example) as service, client_of(service) as client:
        assert (await client.until(running, S.RUNNING))["attempt"] == 2


async def test_the_server_stops_first_so_that_its_last_requests_find_the_tasks_there(
    start: Start, example: str, file_url: str
) -> None:
    body = b'{"pages": 1}'
    head = b"POST /tasks HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )
    async with start(example) as service, await trio.open_tcp_stream("127.0.0.1", service.port) as stream:
        await stream.send_all(head + body[:5])
        async with client_of(service) as client:
            await client.submit(pages=1)  # by now it has read what was sent before
        service.process.send_signal(signal.SIGINT)
        await service.refuses()
        await stream.send_all(body[5:])
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 202")
        assert await service.ended() == 0
    assert len(await stored(file_url)) == 2


async def test_kill_9_loses_nothing(start: Start, example: str, file_url: str) -> None:
    async with start(example) as service, client_of(service) as client:
        ids = [await client.submit(pages) for pages in [AGES] * 9 + [30]]
        for task_id in ids:
            await client.until(task_id, S.RUNNING)
        await service.kill()
    assert [task.status for task in await stored(file_url)] == [S.RUNNING] * 10
    async with start(example) as service, client_of(service) as client:
        again = [await client.until(task_id, S.RUNNING) for task_id in reversed(ids)]
        assert [task["attempt"] for task in again] == [2] * 10
        assert (await client.until(ids[-1], S.COMPLETED))["attempt"] == 2

"""Tasks entered by lifespan, for a server that is started from the command line."""

from __future__ import annotations

import httpx

from actors import TaskStatus
from tests.embedding.conftest import Start
from tests.embedding.service import eventually, stored

COMMAND = ("-m", "hypercorn", "--worker-class", "trio", "--bind", "127.0.0.1:0", "starlette_lifespan:web")
S = TaskStatus


async def test_it_stops_cleanly_and_what_did_not_finish_goes_on_at_the_next_start(start: Start, file_url: str) -> None:
    async with start(*COMMAND) as service, httpx.AsyncClient(base_url=service.url) as http:
        quick = (await http.post("/greet/ann")).text
        slow = (await http.post("/greet/bob?seconds=1000")).text

        async def under_way() -> bool:
            return [task.status for task in await stored(file_url)] == [S.COMPLETED, S.RUNNING]

        await eventually(under_way)
        assert await service.interrupt() == 0
    tasks = {task.task_id: task for task in await stored(file_url)}
    assert tasks[quick].result_data == "hello ann"
    assert (tasks[slow].status, tasks[slow].retry_count) == (S.PENDING, 0)
    async with start(*COMMAND):
        await eventually(under_way)

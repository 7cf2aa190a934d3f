"""A node beside somebody's transaction on PostgreSQL that has read the tasks, and stays open."""

from __future__ import annotations

import trio
from sqlalchemy import Connection, create_engine, text

from actors import Settings, TaskStatus, TaskSystem

TASKS = 2000


def completed(reader: Connection) -> int:
    return int(reader.execute(text("SELECT count(*) FROM actors_task WHERE status = 'completed'")).scalar_one())


async def test_a_node_works_and_steers_beside_a_reader_that_stays_open(postgres_url: str) -> None:
    app = TaskSystem(postgres_url, settings=Settings(max_coroutines=50))  # so that tasks wait, and are claimed

    @app.task
    async def double(number: int) -> int:
        return 2 * number

    engine = create_engine(postgres_url, isolation_level="REPEATABLE READ")
    with trio.fail_after(60):
        async with app.running():
            assert await (await double.submit(1)).result() == 2
            with engine.connect() as reader:
                assert completed(reader) == 1
                tickets = await app.submit_many(double.request(number) for number in range(TASKS))
                assert [await ticket.result() for ticket in tickets] == [2 * number for number in range(TASKS)]
                await app.pause(task_type="double")
                waits = await double.submit(3)
                assert await waits.cancel()
                await app.resume(task_type="double")
                assert completed(reader) == 1, "it held no snapshot"
            statistics = await app.statistics()
            assert (statistics.success_count, await waits.status()) == (TASKS + 1, TaskStatus.CANCELLED)
    engine.dispose()

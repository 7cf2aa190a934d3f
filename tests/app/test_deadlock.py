"""Transactions that wait for each other in a circle: the server undoes one, and it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
import trio
from sqlalchemy import Engine, create_engine

from actors import Ticket
from tests.app.crew import Crew, connected, greet
from tests.waiting import until

WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Of a user, who is patient: nodes look for deadlocks first."""
    with connected(postgres_url) as administrator:
        administrator.execute(f"ALTER DATABASE {administrator.info.dbname} SET deadlock_timeout = '2s'".encode())
    engine = create_engine(postgres_url, connect_args={"options": "-c deadlock_timeout=60s"})
    yield engine
    engine.dispose()


async def test_a_submit_that_deadlocks_with_a_users_transaction_is_undone_and_done_again(
    postgres_url: str, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "actors.system")
    tickets: list[Ticket[object]] = []
    with trio.fail_after(60), connected(postgres_url) as looking:
        async with Crew(postgres_url).node() as app:
            with engine.connect() as users:
                (second,) = app.enqueue(users, [greet("user's second", key="second")])
                async with trio.open_nursery() as nursery:

                    async def submit() -> None:
                        keys = ("first", "second", "third")
                        tickets.extend(await app.submit_many([greet(f"node's {key}", key=key) for key in keys]))

                    nursery.start_soon(submit)
                    await until(lambda: count(looking, WAITS) == 1)
                    first = await trio.to_thread.run_sync(app.enqueue, users, [greet("user's first", key="first")])
                    users.commit()
            assert [ticket.created for ticket in tickets] == [False, False, True]
            assert [ticket.task_id for ticket in tickets[:2]] == [first[0].task_id, second.task_id]
            results = [await ticket.result() for ticket in tickets]
            assert results == ["hello user's first", "hello user's second", "hello node's third"]
            await until(lambda: count(looking, DEADLOCKS) == 1)
            statistics = await app.statistics()
            assert (statistics.by_status["completed"], statistics.total_tasks) == (3, 3)
    assert "transactions were in each other's way; tried again" in caplog.text


def count(connection: psycopg.Connection[Any], sql: LiteralString) -> int:
    ((found,),) = connection.execute(sql)
    return int(found)

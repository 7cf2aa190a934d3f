"""Nodes of this release work on while the tables beneath them become those of the next one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from sqlalchemy import Connection, text

from actors import Settings, TaskContext, TaskRequest, TaskStatus, TaskSystem, schema
from actors.store import migrate
from actors.store.engine import make_engine
from tests.app.world import echo
from tests.migrations import CURRENT, NEXT, know_next_version, run_script
from tests.waiting import until

WORDS_BEFORE, WORDS_AFTER = 10, 10


async def flaky(context: TaskContext) -> int:
    if context.attempt == 1:
        raise ValueError("once")
    return context.attempt


async def parent(context: TaskContext) -> str:
    return context.submit(TaskRequest("echo", {"text": "child"}))


class Service:
    """Two nodes on a server; one on a file, where one works at a time.

    Attributes:
        words: results of tasks, in the order in which they came.
        started: ids of tasks without an end, once for each attempt.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        count = 2 if url.startswith("postgresql") else 1
        self.nodes = [TaskSystem(url, settings=Settings(grace_seconds=0.1, **settings)) for _ in range(count)]
        self.words: list[str] = []
        self.started: list[str] = []
        for node in self.nodes:
            for handler in (echo, self.endless, flaky, parent):
                node.register_handler(handler.__name__, handler)

    async def endless(self, context: TaskContext) -> None:
        self.started.append(context.task_id)
        await trio.sleep_forever()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                await stack.enter_async_context(node.running())
            yield

    async def talk(self) -> None:
        """Submit through each node in turn, and wait for the result, for ever."""
        while True:
            for node in self.nodes:
                ticket = await node.submit(TaskRequest("echo", {"text": "word"}))
                self.words.append(await ticket.result())

    async def heard(self, more: int) -> None:
        """Wait for *more* words."""
        wanted = len(self.words) + more
        await until(lambda: len(self.words) >= wanted)


def upgrade_beneath(url: str, patch: pytest.MonkeyPatch, by_hand: bool) -> int | None:
    """What `actors migrate` of the next release does; on a file it refuses while a node works, and this does not.

    Args:
        by_hand: run what `actors migrate --sql` prints, as an administrator does.
    """
    with patch.context() as future:
        know_next_version(future, "additions")
        if url.startswith("postgresql") and not by_hand:
            return schema.upgrade(url).after
        engine = make_engine(url)
        if by_hand:
            run_script(engine, schema.sql(url, since=CURRENT))
        else:
            with engine.begin() as connection:
                migrate.upgrade(connection)
        engine.dispose()
        return schema.check(url).found


@pytest.mark.parametrize("by_hand", [False, True], ids=["by the command", "by the printed SQL"])
async def test_nodes_go_on_while_columns_indexes_and_a_table_are_added(
    any_url: str, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    service = Service(any_url)
    first, last = service.nodes[0], service.nodes[-1]
    with trio.fail_after(60):
        async with service.running(), trio.open_nursery() as nursery:
            nursery.start_soon(service.talk)
            waiting = await first.submit(
                TaskRequest("echo", {"text": "later"}, run_at=datetime.now(UTC) + timedelta(hours=1))
            )
            running = await first.submit(TaskRequest("endless"))
            await service.heard(WORDS_BEFORE)
            assert await trio.to_thread.run_sync(upgrade_beneath, any_url, monkeypatch, by_hand) == NEXT
            await service.heard(WORDS_AFTER)
            assert await (await last.submit(TaskRequest("flaky"))).result() == 2
            child = await (await last.submit(TaskRequest("parent"))).result()
            assert await first.ticket(child).result() == "child"
            assert service.started == [running.task_id]
            for ticket in (waiting, running):
                assert await last.ticket(ticket.task_id).cancel()
                assert (await ticket.wait()).status is TaskStatus.CANCELLED
            await last.pause(lane="thread")
            await last.resume(lane="thread")
            await first.delete(child)
            assert await last.cleanup(completed_older_than=0, failed_older_than=0) > 0
            assert len(await first.nodes()) == len(service.nodes)
            nursery.cancel_scope.cancel()
    with pytest.MonkeyPatch.context() as future:
        know_next_version(future, "additions")
        assert schema.check(any_url).found == NEXT


def lease_is_long_over(connection: Connection) -> bool:
    """And the hearts have been still for longer than a node may be silent: nobody can have looked at them since."""
    over = "SELECT bool_and(lease_until + 3 < extract(epoch FROM clock_timestamp())) FROM actors_node"
    return bool(connection.execute(text(over)).scalar_one())


async def test_nobody_is_taken_for_dead_while_an_upgrade_takes_longer_than_a_lease(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(postgres_url, lease_seconds=2.0)
    engine = make_engine(postgres_url)
    with trio.fail_after(60):
        async with service.running():
            running = [await node.submit(TaskRequest("endless")) for node in service.nodes]
            await until(lambda: len(service.started) == 2)
            with monkeypatch.context() as future, engine.connect() as connection, connection.begin():
                know_next_version(future, "colour")
                migrate.upgrade(connection)
                await until(lambda: lease_is_long_over(connection))
            for node in service.nodes:
                assert await (await node.submit(TaskRequest("echo", {"text": "on"}))).result() == "on"
            assert sorted(service.started) == sorted(ticket.task_id for ticket in running)
            for ticket in running:
                await ticket.cancel()
    engine.dispose()

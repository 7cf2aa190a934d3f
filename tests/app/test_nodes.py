"""The nodes of a database, as this and other processes see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio
from trio.testing import MockClock

import actors
from actors import NodeInfo, Settings, TaskSystem


async def described(clerk: TaskSystem) -> NodeInfo:
    """The one working node, as soon as it has said something of itself."""
    with trio.fail_after(10):
        while True:
            (node,) = await clerk.nodes()
            if node.snapshot and node.snapshot["running_tasks"]:
                return node
            await trio.sleep(0.05)


async def test_a_node_sees_itself_as_it_is(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def endless() -> None:
        await trio.sleep_forever()

    async with app.running():
        await endless.submit()
        await trio.sleep(100)
        (node,) = await app.nodes()
        assert (node.alive, node.working, node.name) == (True, True, app.running_node.name)
        assert node.snapshot["running_by_type"] == {"endless": 1}
        assert node.snapshot["version"] == actors.__version__
        assert {"lanes", "mailboxes", "rates", "latencies", "system_resources"} <= node.snapshot.keys()
        assert node.described_at is not None
        assert abs(node.described_at.timestamp() - app.wall()) < 1


async def test_a_node_that_only_submits_sees_the_one_that_works(settings: Settings, file_url: str) -> None:
    worker, clerk = TaskSystem(file_url, settings=settings), TaskSystem(file_url, settings=settings)

    @worker.task
    async def endless() -> None:
        await trio.sleep_forever()

    async with clerk.running(work=False):
        assert await clerk.nodes() == []
        async with worker.running():
            ticket = await endless.submit()
            node = await described(clerk)
            assert (node.name, node.alive, node.working) == (worker.running_node.name, True, True)
            assert node.snapshot["lanes"]["double"] == {"slots": 2, "running": 0, "free": 2, "stuck": 0}
            assert node.snapshot["mailboxes"]["storage"]["state"] == "running"
            assert datetime.now(UTC) - timedelta(seconds=10) < node.started_at <= node.heartbeat_at < node.lease_until
            await ticket.cancel()
        assert await clerk.nodes() == []

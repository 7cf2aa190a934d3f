"""Unique keys on two nodes of one PostgreSQL: a task holds its key through all its retries, and until its end alone."""

from __future__ import annotations

from itertools import groupby

import pytest
import trio

from actors import Retry, RetryPolicy, TaskContext, TaskRequest, TaskSystem, Ticket
from actors.errors import IllegalTransition, TaskFailed

SUBMITS = 60
ROUNDS = 25


class Pair:
    """Two nodes, and handlers that both know.

    Attributes:
        runs: task and attempt of each start, in their order.
        gate: what `waits` waits for.
    """

    def __init__(self, url: str) -> None:
        self.nodes = [TaskSystem(url) for _ in range(2)]
        self.runs: list[tuple[str, int]] = []
        self.gate = trio.Event()
        for node in self.nodes:
            node.register_handler("flaky", self._flaky)
            node.register_handler("waits", self._waits, retry=RetryPolicy.none())

    async def _flaky(self, context: TaskContext) -> int:
        """It is retried twice, almost at once."""
        self.runs.append((context.task_id, context.attempt))
        if context.attempt < 3:
            raise Retry(after=0.01)
        return context.attempt

    async def _waits(self, context: TaskContext) -> None:
        self.runs.append((context.task_id, context.attempt))
        await self.gate.wait()
        raise ValueError("it fails")


@pytest.fixture
def pair(postgres_url: str) -> Pair:
    return Pair(postgres_url)


async def test_submits_of_a_key_stand_for_its_task_while_retries_of_it_become_ready(pair: Pair) -> None:
    made: list[str] = []
    stood_for: list[str] = []

    async def submit(node: TaskSystem) -> None:
        for _ in range(SUBMITS):
            ticket = await node.submit(TaskRequest("flaky", key="one"))
            (made if ticket.created else stood_for).append(ticket.task_id)

    with trio.fail_after(60):
        async with pair.nodes[0].running() as app, pair.nodes[1].running():
            async with trio.open_nursery() as nursery:
                for node in pair.nodes:
                    nursery.start_soon(submit, node)
            for task_id in made:
                assert await app.ticket(task_id).result() == 3
            assert await app.count() == len(made)
            statistics = await app.statistics()
            assert statistics.by_status["completed"] == len(made)
    assert len(made) + len(stood_for) == 2 * SUBMITS
    assert stood_for, "no submit came while a task held the key"
    assert set(stood_for) <= set(made)
    turns = [list(runs) for _, runs in groupby(pair.runs, lambda run: run[0])]
    assert sorted(turns) == sorted([(task_id, number) for number in (1, 2, 3)] for task_id in made)


async def test_of_a_retry_by_hand_and_a_submit_of_its_key_at_once_one_gets_the_key(pair: Pair) -> None:
    with trio.fail_after(90):
        async with pair.nodes[0].running() as app, pair.nodes[1].running():
            for number in range(ROUNDS):
                pair.gate.set()
                ticket = await app.submit(TaskRequest("waits", key=f"key {number}"))
                await ends_badly(ticket)
                pair.gate = trio.Event()
                winner = await race(pair, ticket.task_id, f"key {number}")
                pair.gate.set()
                await ends_badly(winner)
            statistics = await app.statistics()
            assert statistics.by_status["failed"] == statistics.total_tasks == await app.count()
    assert len(set(pair.runs)) == len(pair.runs) == 2 * ROUNDS


async def ends_badly(ticket: Ticket[object]) -> None:
    with pytest.raises(TaskFailed, match="it fails"):
        await ticket.result()


async def race(pair: Pair, task_id: str, key: str) -> Ticket[object]:
    """The task that has the key, when one node revives the one that had it and the other submits another."""
    first, second = pair.nodes
    revived: list[bool] = []

    async def revive() -> None:
        try:
            await first.retry(task_id)
            revived.append(True)
        except IllegalTransition:
            revived.append(False)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(revive)
        ticket = await second.submit(TaskRequest("waits", key=key))
    assert revived == [not ticket.created]
    assert (ticket.task_id == task_id) is not ticket.created
    assert len([task for task in await second.list(key=key) if not task.status.ended]) == 1
    return ticket

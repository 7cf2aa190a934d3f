"""The connection drops during a commit, so that nobody knows what became of it: on PostgreSQL, with a node at work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import attrs
import pytest
import trio
from sqlalchemy import create_engine

from actors import TaskEventType
from tests.pooler import PoolersWire
from tests.relay import Wire
from tests.waiting import until
from tests.whole.crowd import Crowd
from tests.whole.table import OnServer

SUBMIT, CLAIM, SETTLE = (
    re.compile(words) for words in (rb"INSERT INTO actors_task ", rb"started(?!_)", rb"SET .* result_data=")
)
"""What only such a transaction says: one that claims nothing counts nothing as started."""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
TASKS = 20


@attrs.frozen
class Scene:
    """A node by way of a wire, and the tables past it."""

    wire: Wire
    server: OnServer
    crowd: Crowd

    def assert_nothing_is_lost_or_done_twice(self, task_ids: list[str]) -> None:
        """Each task ran once, and is counted once in each of its states."""
        assert self.wire.cuts == 1
        assert sorted(task_id for task_id, _ in self.crowd.runs) == sorted(task_ids)
        self.server.assert_exact(completed=len(task_ids))
        flows = "SELECT name, sum(value)::integer AS n FROM actors_counter WHERE width > 0 GROUP BY name"
        counted = {row["name"]: row["n"] for row in self.server.rows(flows)}
        assert (counted["submitted"], counted["completed"]) == (len(task_ids), len(task_ids))
        assert not self.crowd.events[TaskEventType.FENCED]
        self.crowd.assert_whole()
        assert not [child.name for child in self.crowd.app.tree() if child.restarts]


@pytest.fixture
def kind_of_wire() -> type[Wire]:
    return Wire


@pytest.fixture
def scene(server: OnServer, kind_of_wire: type[Wire]) -> Iterator[Scene]:
    with kind_of_wire(server.url) as wire:
        beyond = OnServer(wire.url)
        yield Scene(wire, server, Crowd(beyond))
        beyond.close()


@pytest.mark.parametrize("lost", ["commit", "answer"])
@pytest.mark.parametrize("what", [SUBMIT, SETTLE], ids=["submit", "settle"])
async def test_a_connection_that_drops_in_a_commit_costs_no_task_and_repeats_none(
    scene: Scene, lost: Literal["commit", "answer"], what: re.Pattern[bytes]
) -> None:
    async with scene.crowd.running() as app:
        first = await scene.crowd.quick.submit(number=0)
        await first.result()
        await until(lambda: not app.running_node.running.leased)
        scene.wire.lose(lost, what)
        tickets = await app.submit_many(scene.crowd.quick.request(number=number) for number in range(1, TASKS))
        assert all(ticket.created for ticket in tickets)
        assert [await ticket.result() for ticket in tickets] == list(range(1, TASKS))
        await until(lambda: not app.running_node.running.leased)
        scene.assert_nothing_is_lost_or_done_twice([ticket.task_id for ticket in (first, *tickets)])


@pytest.mark.parametrize("lost", ["commit", "answer"])
@pytest.mark.parametrize("what", [SUBMIT, CLAIM], ids=["submit", "claim"])
async def test_so_does_one_that_drops_while_tasks_that_had_to_wait_are_stored_or_claimed(
    scene: Scene, lost: Literal["commit", "answer"], what: re.Pattern[bytes]
) -> None:
    async with scene.crowd.running() as app:
        await app.pause(task_type="quick")
        scene.wire.lose(lost, what)
        tickets = await app.submit_many(scene.crowd.quick.request(number=number) for number in range(TASKS))
        assert all(ticket.created for ticket in tickets)
        scene.server.assert_exact(pending=TASKS)
        await app.resume(task_type="quick")
        assert [await ticket.result() for ticket in tickets] == list(range(TASKS))
        await until(lambda: not app.running_node.running.leased)
        scene.assert_nothing_is_lost_or_done_twice([ticket.task_id for ticket in tickets])
        rows = scene.server.tasks().values()
        assert {row["attempt"] for row in rows} == {2 if (what, lost) == (CLAIM, "answer") else 1}
        assert {(row["retry_count"], row["crash_count"]) for row in rows} == {(0, 0)}


@pytest.mark.parametrize("kind_of_wire", [Wire, PoolersWire], ids=["direct", "pooler"])
async def test_what_the_server_claims_long_after_its_client_has_gone_is_run_all_the_same(scene: Scene) -> None:
    engine = create_engine(scene.server.url)
    async with scene.crowd.running() as app, trio.open_nursery() as nursery:
        with engine.begin() as other:
            other.exec_driver_sql("LOCK TABLE actors_counter IN SHARE ROW EXCLUSIVE MODE")
            scene.wire.lose("client", CLAIM)
            nursery.start_soon(app.submit_many, [scene.crowd.quick.request(number=number) for number in range(TASKS)])
            await until(lambda: scene.wire.cuts == 1)
            await until(lambda: other.exec_driver_sql(WAITING).scalar_one() == 2)  # the claim, and who repeats it
        await until(lambda: len(scene.crowd.runs) == TASKS and not app.running_node.running.leased)
        scene.assert_nothing_is_lost_or_done_twice([*scene.server.tasks()])
    engine.dispose()

"""Nodes that claim, settle and cancel on one PostgreSQL at once, each on a connection of its own."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from actors.core.lifecycle import Transition
from actors.core.priority import rank
from actors.core.request import Claimed
from actors.store import tasks
from actors.store.engine import make_engine
from actors.store.faults import passing
from actors.store.settle import Settled
from tests.store.world import AGING, NOW, TYPES, World, room

NODES = 4
TASKS = int(os.environ.get("ACTORS_SIDE_BY_SIDE_TASKS", "20000"))


@pytest.fixture
def url(postgres_engine: Engine) -> str:
    return postgres_engine.url.render_as_string(hide_password=False)


def as_node(url: str, name: str, work: Callable[[World], Any]) -> Callable[[], Any]:
    """*work* in one transaction after the other, until it returns something."""

    def run() -> Any:
        engine = make_engine(url)
        try:
            while True:
                with engine.begin() as connection:
                    found = work(World(connection, name))
                if found is not None:
                    return found
        finally:
            engine.dispose()

    return run


def all_of(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(work) for work in works]]


def test_four_nodes_claim_each_task_once_in_rank_order_and_settle_it_once(url: str, postgres_engine: Engine) -> None:
    chance = random.Random(7)
    with postgres_engine.begin() as connection:
        world = World(connection)
        for _ in range(0, TASKS, 1000):
            kinds = [
                (chance.choice(TYPES), NOW - chance.randrange(100), chance.choice([1, 5, 10])) for _ in range(1000)
            ]
            world.submit(*(world.new(kind, due=due, priority=priority) for kind, due, priority in kinds))
    claims: list[list[Claimed]] = []

    def step(world: World) -> bool | None:
        claimed = world.claim(room(50), idle=True)
        claims.append(claimed)
        results = world.settle(*(world.change(row, Transition.COMPLETE) for row in claimed))
        assert set(results) <= {Settled.STORED}
        return None if claimed else True

    all_of(*(as_node(url, f"node-{number}", step) for number in range(NODES)))
    counts = Counter(row.seq for claimed in claims for row in claimed)
    assert set(counts.values()) == {1}
    assert len(counts) == TASKS
    for claimed in claims:
        places = [(rank(row.due_at, row.priority, AGING), row.seq) for row in claimed]
        assert places == sorted(places)
    with postgres_engine.begin() as connection:
        world = World(connection)
        assert world.gauges() == world.counts() == {"completed": TASKS}


def test_a_claim_does_not_wait_for_what_another_node_is_claiming(url: str, postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        World(connection).submitted(*["mail"] * 4)
    with postgres_engine.begin() as first:
        assert len(World(first).claim(room(3))) == 3
        (others,) = all_of(as_node(url, "node-2", lambda world: world.claim(room(3))))
        assert len(others) == 1


def test_attempts_are_locked_in_one_order_whatever_the_order_of_their_ends(url: str, postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        rows = World(connection).running(2)
    held, asked = threading.Event(), threading.Event()

    def cancel_both(world: World) -> list[Any]:
        world.connection.execute(text("SELECT 1 FROM actors_task WHERE seq = :seq FOR UPDATE"), {"seq": rows[0].seq})
        held.set()
        assert asked.wait(10)
        return world.cancel(*(row.task_id for row in rows))

    def settle_both(world: World) -> list[Settled]:
        assert held.wait(10)
        asked.set()
        tasks.lock(world.connection, [row.seq for row in reversed(rows)])
        return world.settle(*(world.change(row, Transition.COMPLETE) for row in reversed(rows)))

    _, settled = all_of(as_node(url, "node-2", cancel_both), as_node(url, "node-1", settle_both))
    assert settled == [Settled.CANCELLED] * 2


def test_a_deadlock_passes_for_the_one_that_is_undone(url: str, postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        one, two = (row.seq for row in World(connection).running(2))
    both = threading.Barrier(2)

    def lock(first: int, second: int) -> Callable[[World], str]:
        def work(world: World) -> str:
            try:
                tasks.lock(world.connection, [first])
                both.wait(10)
                tasks.lock(world.connection, [second])
            except OperationalError as error:
                world.connection.rollback()
                return passing(error) or "it would be given up"
            return "done"

        return work

    ends = all_of(as_node(url, "node-1", lock(one, two)), as_node(url, "node-2", lock(two, one)))
    assert sorted(ends) == ["done", "transactions were in each other's way"]

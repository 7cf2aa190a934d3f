"""A transaction on PostgreSQL that has read something and stays open: no vacuum takes away what it could still see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.engine.interfaces import IsolationLevel

from actors.core.lifecycle import Transition
from actors.core.request import Claimed
from actors.store.settle import Settled
from tests.store.plans import MODES, Plan, crowd, plans
from tests.store.world import World, room

BATCH = 100
BATCHES = 30
PAGES_A_TASK = 25
"""What a statement looks at, at most, for a row that it writes: pages of the table and of each index that changes."""


@contextmanager
def somebody(engine: Engine, isolation_level: IsolationLevel) -> Iterator[Connection]:
    """A connection to the same database that is none of ours."""
    other = create_engine(engine.url, isolation_level=isolation_level, poolclass=NullPool)
    with other.connect() as connection:
        yield connection


@contextmanager
def long_reader(engine: Engine) -> Iterator[None]:
    """A report, or a forgotten console."""
    with somebody(engine, "REPEATABLE READ") as connection:
        seen = tasks_seen(connection)
        yield
        assert tasks_seen(connection) == seen, "it held no snapshot"


def tasks_seen(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM actors_task")).scalar_one())


def dead_rows(engine: Engine) -> int:
    """Versions of tasks that a vacuum leaves in place, since somebody may still see them.

    Its own word for it: the server's statistics come later, and are not exact.
    """
    told: list[str] = []
    with somebody(engine, "AUTOCOMMIT") as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute(text("VACUUM (VERBOSE, ANALYZE) actors_task"))
    found = re.findall(r"(\d+) are dead but not yet removable", " ".join(told))
    assert found, told
    return sum(map(int, found))


def submit(engine: Engine, number: int) -> None:
    """Store batch *number*."""
    with engine.begin() as connection:
        world = World(connection)
        world.submit(*(world.new(task_id=f"{number * BATCH + place:036d}") for place in range(BATCH)))


def work_off(engine: Engine) -> None:
    """Submit, claim and settle some batches, each in transactions of its own, as a node does."""
    for number in range(BATCHES):
        submit(engine, number)
        with engine.begin() as connection:
            claimed = World(connection).claim(room(BATCH))
        assert [row.task_id for row in claimed] == [f"{number * BATCH + place:036d}" for place in range(BATCH)]
        with engine.begin() as connection:
            assert settle(World(connection), claimed) == [Settled.STORED] * BATCH


def settle(world: World, claimed: list[Claimed]) -> list[Settled]:
    return world.settle(*(world.change(row, Transition.COMPLETE) for row in claimed))


def planned(engine: Engine, mode: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Plan]:
    """The plans of a claim of all that waits, and of the settling of it, both undone."""
    with engine.connect() as connection, connection.begin() as transaction, plans(monkeypatch, mode) as found:
        world = World(connection)
        settle(world, world.claim(room(BATCH)))
        transaction.rollback()
    claim, end = (plan for plan in found if "UPDATE actors_task" in plan.sql)
    return claim, end


def test_tasks_are_claimed_and_settled_once_while_a_vacuum_can_take_nothing_away(postgres_engine: Engine) -> None:
    with long_reader(postgres_engine):
        work_off(postgres_engine)
        assert dead_rows(postgres_engine) >= BATCHES * BATCH
    with postgres_engine.begin() as connection:
        world = World(connection)
        assert world.gauges() == world.counts() == {"completed": BATCHES * BATCH}
    assert dead_rows(postgres_engine) == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_claim_steps_over_what_was_claimed_since_the_reader_began_and_over_no_more(
    postgres_engine: Engine, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_engine.begin() as connection:
        crowd(connection)
    with long_reader(postgres_engine):
        work_off(postgres_engine)
        assert dead_rows(postgres_engine) >= BATCHES * BATCH
        submit(postgres_engine, BATCHES)
        held, settled = planned(postgres_engine, mode, monkeypatch)
    dead_rows(postgres_engine)
    freed, _ = planned(postgres_engine, mode, monkeypatch)
    for plan in (held, settled, freed):
        assert plan.by_index()
        assert plan.rows_read() <= 2 * BATCH  # those claimed are looked up once more
        assert plan.most_sorted() <= BATCH
    assert held.pages_read() <= BATCHES * BATCH + PAGES_A_TASK * BATCH
    assert max(settled.pages_read(), freed.pages_read()) <= PAGES_A_TASK * BATCH
    assert held.pages_read() > freed.pages_read() + BATCHES, "nothing was held back"

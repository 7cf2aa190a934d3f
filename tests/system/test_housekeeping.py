"""Housekeeping of many nodes on one server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from actors.core.lifecycle import Transition
from actors.store import schema
from actors.store.engine import make_engine
from actors.system.housekeeping import Cleanup, Fold, Lead, RemoveResults
from actors.system.transaction import Transaction, Write
from tests.store.world import NOW, World
from tests.system.world import AGING
from tests.waiting import until

ALL = Cleanup(NOW + 1, NOW + 1)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """On tables with three tasks that have ended."""
    engine = make_engine(postgres_url)
    with engine.begin() as connection:
        schema.create(connection)
        world = World(connection)
        world.settle(*(world.change(row, Transition.COMPLETE) for row in world.running(3)))
    yield engine
    engine.dispose()


def applied(connection: Connection, write: Write) -> object:
    return write.apply(Transaction(connection, "node-1", NOW, AGING, "node-1"))


@pytest.mark.parametrize("work", [ALL, RemoveResults(NOW + 1), Fold()])
def test_what_another_node_is_at_is_left_to_it(engine: Engine, work: Cleanup | RemoveResults | Fold) -> None:
    with engine.begin() as leader, engine.begin() as other:
        applied(leader, Lead(Fold()))
        assert applied(other, Lead(work)) == 0
        assert World(other).counts() == {"completed": 3}


def test_what_is_asked_for_is_done_whoever_leads(engine: Engine) -> None:
    with engine.begin() as leader, engine.begin() as other:
        applied(leader, Lead(Fold()))
        assert applied(other, ALL) == 3


async def test_the_next_one_goes_on_where_a_leader_was_cut_off(engine: Engine) -> None:
    with engine.connect() as leader:
        leader.begin()
        assert applied(leader, Lead(ALL)) == 3
        leader.invalidate()  # its process has died
    with engine.begin() as other:
        await until(lambda: applied(other, Lead(ALL)) == 3)  # the server notices it a little later
        assert World(other).counts() == {}

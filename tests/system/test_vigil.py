"""When another node counts as dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import Connection
from trio.testing import wait_all_tasks_blocked

from actors.store import nodes, schema, server
from actors.store.engine import make_engine
from actors.system.vigil import LOOK_ALONE_SECONDS, LOOK_SECONDS, MOST_BETWEEN, Dead, Vigil
from tests.system.world import MEMORY

LEASE = 15.0


class Scene:
    """A node that looks, and one that is looked at, at times that the test sets."""

    def __init__(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connection = connection
        self.now = 1000.0
        self.lock_is_free = False
        self.told: list[Dead] = []
        self.ended: list[int] = []
        monkeypatch.setattr(server, "is_free", lambda connection, key: self.lock_is_free)
        monkeypatch.setattr(server, "end_session", lambda connection, key: self.ended.append(key))
        self.vigil = Vigil("me", lambda: self.now, self._tell, lambda: self.now)
        with connection.begin():
            schema.create(connection)
            for name, key in (("me", 1), ("other", 2), ("leases-alone", None)):
                nodes.register(connection, name, self.now, self.now + LEASE, working=True, lock_key=key)

    def _tell(self, dead: Sequence[Dead]) -> None:
        self.told += dead

    def beat(self, *names: str) -> None:
        with self.connection.begin():
            for name in names:
                nodes.renew(self.connection, name, self.now, self.now + LEASE, None)

    async def pass_time(self, seconds: float, *alive: str) -> list[Dead]:
        """Look as often as the timer does, while the hearts of *alive* beat; who was told of."""
        self.told = []
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            self.beat(*alive)
            assert self.vigil.tick(self.connection) == LOOK_SECONDS
        await wait_all_tasks_blocked()
        return self.told


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    engine = make_engine(MEMORY)
    with engine.connect() as connection:
        yield Scene(connection, monkeypatch)
    engine.dispose()


async def test_a_node_whose_heart_beats_is_alive_though_its_lock_is_free(scene: Scene) -> None:
    scene.lock_is_free = True
    assert await scene.pass_time(30, "other", "leases-alone") == []


async def test_a_node_that_is_silent_lives_while_it_holds_its_lock_and_its_lease(scene: Scene) -> None:
    assert await scene.pass_time(LEASE - 1, "leases-alone") == []


async def test_silence_and_a_free_lock_are_a_crash(scene: Scene) -> None:
    scene.lock_is_free = True
    assert await scene.pass_time(1.8, "leases-alone") == []
    assert await scene.pass_time(0.8, "leases-alone") == [Dead("other", 1000.0, crashed=True)]


async def test_silence_past_the_lease_is_a_lost_lease_and_no_crash(scene: Scene) -> None:
    assert await scene.pass_time(LEASE - 1) == []
    assert scene.ended == []
    dead = await scene.pass_time(1.2)
    assert scene.ended == [2], "what it had under way would keep its rows from who takes them over"
    scene.lock_is_free = True  # now that its session has ended
    dead += await scene.pass_time(5)
    assert {(one.node, one.crashed) for one in dead} == {("other", False), ("leases-alone", False)}


async def test_a_lock_that_means_nothing_is_not_looked_at(scene: Scene) -> None:
    scene.lock_is_free = True
    assert await scene.pass_time(LEASE - 1, "other") == []
    assert {one.node for one in await scene.pass_time(2, "other")} == {"leases-alone"}


async def test_a_time_without_a_look_is_no_silence(scene: Scene) -> None:
    await scene.pass_time(1)
    scene.lock_is_free = True
    scene.now += 3600  # this process was stopped, or the server down; so that all leases are over, too
    assert await scene.pass_time(0.6) == []


async def test_on_a_new_connection_the_watch_begins_anew(scene: Scene) -> None:
    await scene.pass_time(1.8)
    scene.lock_is_free = True
    scene.vigil._on = object()  # that the server has cut off, together with everybody's locks
    assert await scene.pass_time(1.8) == []
    assert len(await scene.pass_time(0.8, "leases-alone")) == 1


async def test_one_that_is_still_there_after_it_was_told_of_is_told_of_again(scene: Scene) -> None:
    scene.lock_is_free = True
    assert len(await scene.pass_time(4.5, "leases-alone")) == 3


async def test_a_node_that_is_alone_looks_less_often_though_often_enough_for_its_silence_to_count(scene: Scene) -> None:
    with scene.connection.begin():
        for name in ("other", "leases-alone"):
            nodes.leave(scene.connection, name)
    assert scene.vigil.tick(scene.connection) == LOOK_ALONE_SECONDS < MOST_BETWEEN

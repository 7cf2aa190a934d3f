"""A PostgreSQL server that has no connection left: at the start, and beneath a node at work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import pytest
import trio

from actors import TaskRequest
from actors.errors import StorageUnavailable
from actors.store.faults import passing
from actors.system import door, opened, supervisor
from actors.system.storage import Storage
from tests.app.crew import Crew, greet, hearing, hold
from tests.app.world import refused
from tests.postgres import Clerk, clerk
from tests.waiting import until

FULL = "the server has too many connections"


@pytest.fixture
def role(postgres_url: str) -> Iterator[Clerk]:
    with clerk(postgres_url) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Askers hear of a fault after 0.3 s instead of 5 and 10."""
    monkeypatch.setattr(opened, "PATIENCE", 0.3)
    monkeypatch.setattr(door, "PATIENCE", 0.3)
    monkeypatch.setattr(supervisor, "Storage", partial(Storage, patience=0.3))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("work", [True, False])
async def test_a_start_without_a_connection_says_so(role: Clerk, work: bool) -> None:
    role.limit(0)
    with refused(StorageUnavailable, "could not be opened", "too many connections for role"):
        async with Crew(role.url).node(work=work):
            pytest.fail("it runs")


async def test_a_start_waits_for_a_connection_that_comes_free(role: Clerk, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[str | None] = []

    def noted(error: BaseException) -> str | None:
        refusals.append(passing(error))
        role.limit(-1)
        return refusals[-1]

    monkeypatch.setattr(opened, "passing", noted)
    role.limit(0)
    async with Crew(role.url).node() as app:
        assert await (await app.submit(greet())).result() == "hello you"
    assert refusals == [FULL]


async def test_a_node_that_gets_no_connection_any_more_goes_on_when_there_is_one_again(
    role: Clerk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "actors.system")
    crew, results = Crew(role.url), list[str]()

    async def ask(request: TaskRequest) -> None:
        results.append(await (await app.submit(request)).result())

    with trio.fail_after(60):
        async with crew.node() as app, trio.open_nursery() as nursery:
            nursery.start_soon(ask, hold("running"))
            await until(lambda: crew.running("running"))
            role.limit(0)
            assert role.cut_off() >= 2
            nursery.start_soon(ask, greet("waiting"))
            crew.release.set()  # what runs ends meanwhile, and its outcome has to wait
            await until(lambda: FULL in caplog.text)
            assert results == []
            role.limit(-1)
            await until(lambda: sorted(results) == ["hello waiting", "running"])
            await hearing(app)
            await until(lambda: not app.running_node.running.leased)
            assert crew.running("running")
            statistics = await app.statistics()
            assert (statistics.by_status["completed"], statistics.total_tasks) == (2, 2)
            assert not [child.name for child in app.tree() if child.restarts]


@pytest.mark.usefixtures("impatient")
async def test_who_asks_meanwhile_is_told_what_is_short_and_nothing_is_half_stored(role: Clerk) -> None:
    crew = Crew(role.url)
    async with crew.node() as app:
        ticket = await app.submit(hold())
        await until(lambda: crew.running("a"))
        role.limit(0)
        role.cut_off()
        with refused(StorageUnavailable, FULL, "nothing was stored, and it may be tried again"):
            await app.submit(greet())
        with refused(StorageUnavailable, FULL, "it may be asked again"):
            await app.count()
        role.limit(-1)
        crew.release.set()
        assert await ticket.result() == "a"
        assert await (await app.submit(greet())).result() == "hello you"
        assert await app.count() == 2

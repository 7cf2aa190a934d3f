"""A node that is short of memory claims nothing until it has more."""

from __future__ import annotations

from functools import partial

import pytest

from actors import Settings, TaskStatus, TaskSystem
from actors.system import memory, supervisor
from tests.waiting import until


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What every node uses, in MB; it is looked at often."""
    now = [100.0]
    monkeypatch.setattr(memory, "SAMPLE_EVERY", 0.01)
    monkeypatch.setattr(supervisor, "MemoryWatch", partial(memory.MemoryWatch, used_mb=lambda: now[0]))
    return now


async def test_claims_pause_above_the_mark_and_go_on_below_it(file_url: str, used: list[float]) -> None:
    app = TaskSystem(file_url, settings=Settings(memory_limit_mb=1000))

    @app.task
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with app.running():
        assert await (await greet.submit("you")).result() == "hello you"
        assert (app.metrics().memory_limit_mb, app.metrics().claims_paused) == (1000, False)
        used[0] = 900
        await until(lambda: app.metrics().claims_paused)
        tickets = [await greet.submit(str(number)) for number in range(3)]
        await app.submit_many([greet.request("more")])
        assert await app.count(status=TaskStatus.PENDING) == 4
        used[0] = 500
        assert [await ticket.result() for ticket in tickets] == ["hello 0", "hello 1", "hello 2"]
        assert not app.metrics().claims_paused


@pytest.mark.parametrize("work", [True, False])
async def test_there_is_no_limit_by_default_and_none_for_a_node_that_does_not_work(
    file_url: str, used: list[float], work: bool
) -> None:
    used[0] = 10_000
    app = TaskSystem(file_url, settings=Settings(memory_limit_mb=None if work else 1000))
    async with app.running(work=work):
        assert (app.metrics().memory_limit_mb, app.metrics().claims_paused) == (None, False)


async def test_in_virtual_time_nothing_hangs_on_the_machine(used: list[float]) -> None:
    used[0] = 10_000
    app = TaskSystem("sqlite:///:memory:", settings=Settings(memory_limit_mb=1))

    @app.task
    async def greet() -> str:
        return "hello"

    async with app.running():
        assert await (await greet.submit()).result() == "hello"
        assert app.metrics().memory_limit_mb is None

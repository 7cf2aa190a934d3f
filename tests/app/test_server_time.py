"""Clocks that are wrong, on PostgreSQL, where the server's counts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import trio

from actors import Retry, RetryPolicy, Settings, TaskContext, TaskSystem
from actors.store import server

real_time, real_now = time.time, server.now
WITHIN = 8.0
"""Seconds, far less than any clock here is wrong by; half a second of it is to be waited."""


class Wrong:
    """By how many seconds the clocks of the machine and of the server go wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = self.server = 0.0
        monkeypatch.setattr(time, "time", lambda: real_time() + self.machine)
        monkeypatch.setattr(server, "now", lambda connection: real_now(connection) + self.server)


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Wrong:
    return Wrong(monkeypatch)


class Service:
    """A node whose handlers take the time that they are given."""

    def __init__(self, url: str) -> None:
        self.app = TaskSystem(url, settings=Settings(lease_seconds=2.0))
        self.ran: list[tuple[str, int]] = []
        policy = RetryPolicy(base_delay=0.2, jitter=False)
        self.echo = self.app.register_handler("echo", self._echo)
        self.flaky = self.app.register_handler("flaky", self._flaky, retry=policy)
        self.slow = self.app.register_handler("slow", self._slow)

    async def _echo(self, text: str) -> str:
        return text

    async def _flaky(self, context: TaskContext) -> int:
        if context.attempt == 1:
            raise Retry(after=0.3)
        return context.attempt

    async def _slow(self, context: TaskContext) -> int:
        self.ran.append((context.task_id, context.attempt))
        await trio.sleep(3.0)
        return context.attempt


@pytest.mark.parametrize("seconds", [600.0, -600.0])
async def test_what_a_machine_puts_off_whose_clock_is_minutes_wrong_is_due_and_expires_when_it_should(
    postgres_url: str, wrong: Wrong, seconds: float
) -> None:
    clerk, worker = Service(postgres_url), Service(postgres_url)
    async with clerk.app.running(work=False):
        wrong.machine = seconds
        delayed = await clerk.echo.options(delay=0.5, expires=60.0).submit("later")
        at_once = await clerk.echo.options(expires=60.0).submit("now")
        wrong.machine = 0.0
        with trio.fail_after(WITHIN):
            async with worker.app.running():
                assert await worker.app.ticket(at_once.task_id).result() == "now"
                assert await worker.app.ticket(delayed.task_id).result() == "later"
    task = await described(worker, delayed.task_id)
    assert task == (0.5, True)


async def described(service: Service, task_id: str) -> tuple[float, bool]:
    """For how many seconds a task was put off, and whether it started after that."""
    async with service.app.running(work=False) as app:
        task = await app.get(task_id)
    assert task is not None
    assert task.started_at is not None
    return round((task.due_at - task.created_at).total_seconds(), 1), task.started_at >= task.due_at


def machine_steps_back(wrong: Wrong) -> None:
    wrong.machine = -3600.0


def server_steps_back(wrong: Wrong) -> None:
    wrong.server = -3600.0


@pytest.mark.parametrize("step", [machine_steps_back, server_steps_back])
async def test_a_clock_that_steps_back_beneath_nodes_delays_nothing_and_kills_nobody(
    postgres_url: str, wrong: Wrong, step: Callable[[Wrong], None]
) -> None:
    one, other = Service(postgres_url), Service(postgres_url)
    async with one.app.running(), other.app.running():
        running = await one.slow.submit()
        delayed = await one.echo.options(delay=0.5).submit("later")
        failing = await other.flaky.submit()
        step(wrong)
        late = await other.echo.options(delay=0.5).submit("late")
        with trio.fail_after(WITHIN):
            assert await delayed.result() == "later"
            assert await failing.result() == 2
            assert await late.result() == "late"
            assert await running.result() == 1  # for longer than the lease
        assert one.ran + other.ran == [(running.task_id, 1)]
        assert len(await one.app.nodes()) == 2
        for ticket in (running, delayed, failing, late):
            task = await ticket.task()
            assert task.started_at is not None
            assert task.completed_at is not None
            assert task.created_at <= task.started_at <= task.completed_at

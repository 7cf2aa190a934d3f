"""What is logged about an attempt says which one it is, as attributes of the record."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from actors import RetryPolicy, RetryStrategy, Settings, TaskEvent, TaskSystem, Ticket


def named(caplog: pytest.LogCaptureFixture, words: str) -> list[tuple[object, ...]]:
    """The task, its type and the attempt that the records with *words* carry."""
    return [
        tuple(getattr(record, name, None) for name in ("task_id", "task_type", "attempt"))
        for record in caplog.records
        if words in record.getMessage()
    ]


def broken(*_: object) -> float:
    raise ZeroDivisionError("at fault")


async def test_errors_that_come_in_a_group(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=0)
    async def fail() -> None:
        raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])

    async with app.running():
        ticket = await fail.submit()
        await ticket.wait()
    assert named(caplog, "in a group with others") == [(ticket.task_id, "fail", 1)] * 2


async def test_a_retry_policy_at_fault(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @app.task(retry=RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=broken))
    async def fail() -> None:
        raise ConnectionError

    async with app.running():
        ticket = await fail.submit()
        await ticket.wait()
    assert named(caplog, "the retry policy of 'fail' failed") == [(ticket.task_id, "fail", 1)]


async def test_a_callback_at_fault(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @app.on_event
    def note(event: TaskEvent) -> None:
        broken()

    @app.task
    async def work() -> None: ...

    async with app.running():
        ticket = await work.submit()
        await ticket.wait()
    found = named(caplog, "the event callback")
    assert set(found) == {(ticket.task_id, "work", 0), (ticket.task_id, "work", 1)}


async def test_an_attempt_that_does_not_stop(caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(grace_seconds=1))

    @app.task(max_retries=0)
    async def deaf() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    caplog.set_level(logging.WARNING)
    tickets: list[Ticket[None]] = []
    async with app.running():
        tickets.append(await deaf.options(timeout=1).submit())
        await tickets[0].wait()
        tickets.append(await deaf.submit())
        await trio.sleep(1)
    late, left = ((ticket.task_id, "deaf", 1) for ticket in tickets)
    assert named(caplog, "runs on though it was stopped") == [late, left]
    await trio.sleep(100)  # the handlers go on until they end

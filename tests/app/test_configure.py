"""Options that are changed from outside of the declaration."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import ExecutionMode, RetryPolicy, TaskStatus, TaskSystem
from actors.errors import InvalidOption, ModeUnavailable, UnknownTaskType
from tests.app.world import HOUR, refused


async def work() -> None:
    """A handler to declare."""


async def test_what_is_configured_counts_for_every_submit(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(timeout=30, max_retries=1)(work)
    app.configure("work", timeout=7, soft_timeout=5, priority=20, lane="double")
    async with app.running():
        for ticket in (await declared.submit(), await declared.options(key="k").submit()):
            ended = await ticket.wait()
            assert (ended.timeout_seconds, ended.soft_timeout_seconds, ended.priority) == (7, 5, 20)
            assert (ended.lane, ended.max_retries) == ("double", 1)


async def test_the_retry_policy_and_the_limit_of_how_many_run_can_be_configured(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    running = peak = 0

    @app.task
    async def fails() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await trio.sleep(1)
        running -= 1
        raise ValueError

    app.configure("fails", retry=RetryPolicy.none())
    app.configure("fails", max_concurrency=1)
    async with app.running():
        tickets = [await fails.submit() for _ in range(3)]
        ended = [await ticket.wait() for ticket in tickets]
    assert [(task.status, task.retry_count) for task in ended] == [(TaskStatus.FAILED, 0)] * 3
    assert peak == 1


async def test_no_limit_can_be_configured_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(timeout=1)
    async def slow() -> None:
        await trio.sleep(HOUR)

    app.configure("slow", timeout=None)
    async with app.running():
        assert (await (await slow.submit()).wait()).status is TaskStatus.COMPLETED


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"priority": 101}, ("priority", "101")),
        ({"timeout": 0}, ("timeout", "0")),
        ({"soft_timeout": 60}, ("soft_timeout", "60", "30")),
        ({"mode": ExecutionMode.THREAD}, ("'work'", "async def", "thread")),
        ({"max_retrys": 1}, ("'max_retrys'", "did you mean 'max_retries'?")),
        ({"name": "other"}, ("no option 'name'",)),
    ],
)
async def test_what_cannot_work_is_refused_and_changes_nothing(
    given: dict[str, Any], words: tuple[str, ...], app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(timeout=30, priority=7)(work)
    with refused(InvalidOption, *words):
        app.configure("work", **given)
    async with app.running():
        ended = await (await declared.submit()).wait()
    assert (ended.timeout_seconds, ended.soft_timeout_seconds, ended.priority) == (30, None, 7)


def test_a_mode_that_is_not_to_be_had_is_refused(app: TaskSystem) -> None:
    app.task(work)
    with pytest.raises((ModeUnavailable, InvalidOption)):
        app.configure("work", mode=ExecutionMode.PROCESS)


async def test_only_what_is_declared_can_be_configured_and_only_before_the_start(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    app.task(work)
    with refused(UnknownTaskType, "'wrok'", "did you mean 'work'?"):
        app.configure("wrok", priority=1)
    async with app.running():
        with refused(InvalidOption, "'work'", "while the system runs"):
            app.configure("work", priority=1)
    app.configure("work", priority=1)

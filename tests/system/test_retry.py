"""What becomes of attempts that did not succeed, and the budget that damps storms."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors import RetryPolicy, RetryStrategy
from actors.core.budget import Budget
from actors.core.lifecycle import Transition
from actors.core.outcome import Change, Raised, TimedOut
from actors.core.task import ErrorInfo, moment
from actors.execution.attempt import Attempt
from actors.system.messages import Failed
from actors.system.retry import Retry
from actors.system.writes import Settle
from tests.execution.world import handler
from tests.system.world import World, alive, answer_all, rest

FIXED = RetryPolicy(strategy=RetryStrategy.FIXED, base_delay=10.0, jitter=False)


def failure(attempt: Attempt) -> tuple[Attempt, Raised]:
    error = ValueError("no")
    return attempt, Raised(error, attempt.info(error))


async def decided(world: World, *failed: Failed, budgets: dict[str, Budget] | None = None) -> list[Change]:
    """The changes that Retry has stored, for all of *failed*."""
    shared = {} if budgets is None else budgets
    told: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_all, world.storage, told)
        async with alive("retry", lambda: Retry(world.clock, world.chance, shared, world.storage.handle)) as retry:
            for message in failed:
                await retry.handle.tell(message)
        nursery.cancel_scope.cancel()
    return [change for message in told if isinstance(message, Settle) for change in message.changes]


async def test_a_failure_gets_the_time_of_its_next_attempt(autojump_clock: MockClock) -> None:
    world = World(handler(rest, retry=FIXED))
    (change,) = await decided(world, Failed([failure(world.attempt())]))
    assert change.transition is Transition.RETRY
    assert change.due_at == pytest.approx(world.clock.wall() + 10)


async def test_all_that_waits_is_stored_in_one_message(autojump_clock: MockClock) -> None:
    world = World(handler(rest, retry=FIXED))
    messages = [Failed([failure(world.attempt(seq))]) for seq in range(1, 4)]
    assert [change.seq for change in await decided(world, *messages)] == [1, 2, 3]


async def test_without_retries_left_it_ends(autojump_clock: MockClock) -> None:
    world = World(handler(rest, retry=FIXED))
    spent = world.attempt(1, retry_count=3)
    late = world.attempt(2, retry_count=3)
    info = ErrorInfo("TaskTimedOut", "late", "", 1, moment(0))
    changes = await decided(world, Failed([failure(spent), (late, TimedOut(info))]))
    assert [change.transition for change in changes] == [Transition.FAIL, Transition.TIME_OUT]
    assert changes[1].error == info


async def test_a_storm_of_retries_is_spread_over_time_and_none_is_dropped(autojump_clock: MockClock) -> None:
    world = World(handler(rest, retry=FIXED), handler(rest, "mail", retry=FIXED))
    budgets = {"work": Budget(capacity=2, refill_per_second=1)}
    storm = [failure(world.attempt(seq)) for seq in range(1, 6)]
    other = failure(world.attempt(9, task_type="mail"))
    changes = await decided(world, Failed([*storm, other]), budgets=budgets)
    now = world.clock.wall()
    waits = [change.due_at - now for change in changes if change.due_at is not None]
    assert waits == pytest.approx([10, 10, 11, 12, 13, 10])


async def test_a_policy_that_raises_fails_the_task_for_good(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_(_: int) -> float:
        raise KeyError("bad policy")

    policy = RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=raise_)
    world = World(handler(rest, retry=policy), handler(rest, "mail", retry=FIXED))
    bad, good = world.attempt(1), world.attempt(2, task_type="mail")
    first, second = await decided(world, Failed([failure(bad), failure(good)]))
    assert first.transition is Transition.FAIL
    assert first.error is not None
    assert first.error.type == "KeyError"
    assert second.transition is Transition.RETRY
    assert "the retry policy of 'work' failed" in caplog.text

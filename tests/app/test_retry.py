"""What becomes of a failed attempt, and when it is tried again."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from actors import Abort, Retry, RetryPolicy, RetryStrategy, Snooze, TaskContext, TaskStatus, TaskSystem
from actors.errors import TaskFailed, TaskTimedOut
from actors.testing import run_until_idle
from tests.app.world import DAY


class Flaky:
    """A handler that raises, once for each of *errors*, and then returns its attempt's number."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.starts: list[float] = []

    async def run(self, ctx: TaskContext) -> int:
        self.starts.append(trio.current_time())
        if len(self.starts) <= len(self.errors):
            raise self.errors[len(self.starts) - 1]
        return ctx.attempt

    @property
    def waits(self) -> list[float]:
        """Seconds between the starts."""
        return [later - earlier for earlier, later in pairwise(self.starts)]


def failures(count: int) -> list[BaseException]:
    """As many errors."""
    return [ValueError(str(number)) for number in range(1, count + 1)]


async def test_delays_double_up_to_the_most(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(*failures(5))
    policy = RetryPolicy(max_retries=5, base_delay=2.0, max_delay=10.0, jitter=False)
    declared = app.task(retry=policy)(flaky.run)
    async with app.running():
        assert await (await declared.submit()).result() == 6
    assert flaky.waits == pytest.approx([2, 4, 8, 10, 10], abs=0.1)


async def test_jitter_takes_off_up_to_half_and_spreads(app: TaskSystem, autojump_clock: MockClock) -> None:
    starts: dict[str, list[float]] = {}

    @app.task(retry=RetryPolicy(max_retries=1, base_delay=40.0))
    async def fail_once(ctx: TaskContext) -> None:
        starts.setdefault(ctx.task_id, []).append(trio.current_time())
        if ctx.attempt == 1:
            raise ValueError

    async with app.running():
        await app.submit_many([fail_once.request() for _ in range(50)])
        await run_until_idle(app)
    waits = [second - first for first, second in starts.values()]
    assert 19.9 <= min(waits) < 25
    assert 35 < max(waits) <= 40.1


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (RetryPolicy(strategy=RetryStrategy.FIXED, base_delay=7, jitter=False), [7, 7, 7]),
        (RetryPolicy(strategy=RetryStrategy.LINEAR, base_delay=7, jitter=False), [7, 14, 21]),
        (RetryPolicy(base_delay=1, multiplier=3, jitter=False), [1, 3, 9]),
        (RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=lambda retry: retry**2, jitter=False), [1, 4, 9]),
    ],
    ids=["fixed", "linear", "multiplied", "custom"],
)
async def test_the_strategy_sets_the_delays(
    app: TaskSystem, policy: RetryPolicy, waits: list[float], autojump_clock: MockClock
) -> None:
    flaky = Flaky(*failures(3))
    declared = app.task(retry=policy)(flaky.run)
    async with app.running():
        await (await declared.submit()).result()
    assert flaky.waits == pytest.approx(waits, abs=0.1)


@pytest.mark.parametrize("result", [-1.0, float("nan"), "soon"])
async def test_a_custom_delay_that_cannot_work_harms_its_task_only(
    app: TaskSystem, result: object, autojump_clock: MockClock
) -> None:
    flaky = Flaky(*failures(1))
    policy = RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=lambda _: result)  # type: ignore[arg-type,return-value]
    declared = app.task(retry=policy)(flaky.run)

    @app.task
    async def innocent() -> str:
        return "fine"

    async with app.running():
        ticket = await declared.submit()
        with trio.fail_after(DAY):
            assert (await ticket.wait()).status.ended
        assert await (await innocent.submit()).result() == "fine"
        assert app.metrics().running_tasks == 0


async def test_a_task_fails_after_its_retries_with_the_last_error(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(*failures(9))
    declared = app.task(max_retries=2)(flaky.run)
    async with app.running():
        ticket = await declared.submit()
        with pytest.raises(TaskFailed) as caught:
            await ticket.result()
        ended = await ticket.wait()
    assert len(flaky.starts) == 3
    assert (ended.status, ended.retry_count, ended.attempt, ended.crash_count) == (TaskStatus.FAILED, 2, 3, 0)
    info = ended.error_info
    assert info is not None
    assert info == caught.value.error_info
    assert (info.type, info.message, info.attempt) == ("ValueError", "3", 3)
    assert "in run" in info.traceback
    for word in (ticket.task_id, "'run'", "ValueError", "3"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_the_submits_retries_win_over_the_declarations_and_those_over_the_policys(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    flaky = Flaky(*failures(99))
    declared = app.task(max_retries=1, retry=RetryPolicy(max_retries=5))(flaky.run)
    async with app.running():
        assert (await (await declared.submit()).wait()).attempt == 2
        assert (await (await declared.options(max_retries=0).submit()).wait()).attempt == 1


async def test_no_retries_means_one_attempt(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(*failures(1))
    declared = app.task(retry=RetryPolicy.none())(flaky.run)
    async with app.running():
        assert (await (await declared.submit()).wait()).status is TaskStatus.FAILED
    assert len(flaky.starts) == 1


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(ConnectionError(), 2), (ConnectionResetError(), 2), (BrokenPipeError(), 1), (ValueError(), 1)],
    ids=["listed", "subclass", "never", "other"],
)
async def test_only_the_listed_errors_are_tried_again_and_never_on_wins(
    app: TaskSystem, error: Exception, attempts: int, autojump_clock: MockClock
) -> None:
    flaky = Flaky(error)
    policy = RetryPolicy(retry_on=(ConnectionError,), never_on=(BrokenPipeError,))
    declared = app.task(retry=policy)(flaky.run)
    async with app.running():
        assert (await (await declared.submit()).wait()).attempt == attempts


async def test_retry_after_sets_the_time_and_counts(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(Retry(after=123), Retry(after=0), Retry(after=5))
    declared = app.task(max_retries=2)(flaky.run)
    async with app.running():
        ended = await (await declared.submit()).wait()
    assert flaky.waits == pytest.approx([123, 0], abs=0.1)
    assert (ended.status, ended.retry_count) == (TaskStatus.FAILED, 2)


async def test_retry_without_a_time_leaves_it_to_the_policy(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(Retry())
    declared = app.task(retry=RetryPolicy(base_delay=9, jitter=False, retry_on=(KeyError,)))(flaky.run)
    async with app.running():
        assert await (await declared.submit()).result() == 2
    assert flaky.waits == pytest.approx([9], abs=0.1)


async def test_snooze_comes_back_and_counts_as_nothing(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(*[Snooze(60) for _ in range(10)])
    declared = app.task(max_retries=0)(flaky.run)
    async with app.running():
        ended = await (await declared.submit()).wait()
    assert flaky.waits == pytest.approx([60] * 10, abs=0.1)
    assert (ended.status, ended.retry_count, ended.crash_count, ended.attempt) == (TaskStatus.COMPLETED, 0, 0, 11)


async def test_a_snoozed_task_is_pending_until_then(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(Flaky(Snooze(60)).run)
    async with app.running():
        ticket = await declared.submit()
        await trio.sleep(30)
        assert await ticket.status() is TaskStatus.PENDING


async def test_abort_fails_at_once(app: TaskSystem, autojump_clock: MockClock) -> None:
    flaky = Flaky(Abort("no such account"))
    declared = app.task(max_retries=9)(flaky.run)
    async with app.running():
        ticket = await declared.submit()
        with pytest.raises(TaskFailed, match="no such account"):
            await ticket.result()
        ended = await ticket.wait()
    assert (ended.status, ended.attempt) == (TaskStatus.FAILED, 1)
    assert ended.error_info is not None
    assert (ended.error_info.type, ended.error_info.message) == ("Abort", "no such account")


@pytest.mark.parametrize(("again", "attempts"), [(True, 3), (False, 1)])
async def test_a_timeout_is_tried_again_only_if_the_policy_says_so(
    app: TaskSystem, again: bool, attempts: int, autojump_clock: MockClock
) -> None:
    @app.task(timeout=10, retry=RetryPolicy(max_retries=2, retry_on_timeout=again))
    async def hang() -> None:
        await trio.sleep_forever()

    async with app.running():
        ticket = await hang.submit()
        with pytest.raises(TaskTimedOut, match="10 s"):
            await ticket.result()
        ended = await ticket.wait()
    assert (ended.status, ended.attempt, ended.retry_count) == (TaskStatus.TIMEOUT, attempts, attempts - 1)


async def test_a_task_that_waits_for_its_retry_is_retrying_and_says_why(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(retry=RetryPolicy(base_delay=100, max_delay=100, jitter=False))(Flaky(*failures(1)).run)
    async with app.running():
        ticket = await declared.submit()
        await trio.sleep(50)
        task = await app.get(ticket.task_id)
        assert task is not None
        assert (task.status, task.retry_count) == (TaskStatus.RETRYING, 1)
        assert task.error_info is not None
        assert (task.error_info.type, task.error_info.message) == ("ValueError", "1")
        assert (task.due_at - task.created_at).total_seconds() == pytest.approx(100, abs=1)
        assert await ticket.result() == 2


async def test_attempts_are_written_down_unless_they_simply_succeeded(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    declared = app.task(Flaky(ValueError("bad"), Snooze(1), Retry(after=1)).run)
    async with app.running():
        ticket = await declared.submit()
        await ticket.wait()
        rows = await app.attempts(ticket.task_id)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[0].outcome == "failed"
    assert rows[0].error_info is not None
    assert rows[0].error_info.message == "bad"
    assert rows[1].outcome == "snoozed"
    assert all(row.started_at is not None and row.started_at <= row.ended_at for row in rows)
    assert all(row.node for row in rows)


async def test_a_plain_success_leaves_no_attempt_row(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(Flaky().run)
    async with app.running():
        ticket = await declared.submit()
        await ticket.wait()
        assert list(await app.attempts(ticket.task_id)) == []


async def test_a_storm_of_retries_is_spread_and_none_is_dropped(app: TaskSystem, autojump_clock: MockClock) -> None:
    storm = 1500
    first: Counter[str] = Counter()
    again: Counter[int] = Counter()

    @app.task(retry=RetryPolicy(strategy=RetryStrategy.FIXED, base_delay=5, jitter=False, max_retries=1))
    async def fail_together(ctx: TaskContext) -> None:
        if ctx.attempt == 1:
            first[ctx.task_id] += 1
            raise ConnectionError("the service is down")
        again[int(trio.current_time() - begin)] += 1

    async with app.running():
        begin = trio.current_time()
        await app.submit_many([fail_together.request() for _ in range(storm)])
        await run_until_idle(app, real_seconds=100)
        assert await app.count(status=TaskStatus.COMPLETED) == storm
    assert len(first) == again.total() == storm
    assert max(again) >= 8, "the retries beyond the budget wait longer"
    assert max(again.values()) <= 1100

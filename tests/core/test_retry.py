from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.control import Abort, Retry, Snooze, StopRequested
from actors.core.errors import InvalidOption
from actors.core.retry import RetryPolicy, RetryStrategy
from actors.core.stop import StopReason

BUILT_IN = [strategy for strategy in RetryStrategy if strategy is not RetryStrategy.CUSTOM]
RETRY = st.integers(1, 10**6)
CHANCE = st.floats(0, 1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn, jitter: bool | None = None) -> RetryPolicy:
    return RetryPolicy(
        strategy=draw(st.sampled_from(BUILT_IN)),
        base_delay=draw(st.floats(0, 1e6)),
        max_delay=draw(st.floats(0, 1e6)),
        multiplier=draw(st.floats(1, 1e3)),
        jitter=draw(st.booleans()) if jitter is None else jitter,
    )


@given(policies(), RETRY, CHANCE)
def test_a_delay_is_never_negative_and_never_over_the_most(policy: RetryPolicy, retry: int, chance: float) -> None:
    assert 0 <= policy.delay(retry, chance) <= policy.max_delay


@given(policies(jitter=False), RETRY, RETRY)
def test_without_jitter_a_later_retry_waits_no_shorter(policy: RetryPolicy, one: int, other: int) -> None:
    first, last = sorted((one, other))
    assert policy.delay(first, 0.5) <= policy.delay(last, 0.1)


@given(policies(jitter=True), RETRY, CHANCE)
def test_jitter_takes_off_at_most_half(policy: RetryPolicy, retry: int, chance: float) -> None:
    whole = policy.delay(retry, 0.0)
    assert whole / 2 <= policy.delay(retry, chance) <= whole


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        (RetryStrategy.EXPONENTIAL, [1, 2, 4, 8, 10]),
        (RetryStrategy.LINEAR, [1, 2, 3, 4, 5]),
        (RetryStrategy.FIXED, [1, 1, 1, 1, 1]),
    ],
)
def test_each_strategy_grows_in_its_way(strategy: RetryStrategy, delays: list[float]) -> None:
    policy = RetryPolicy(strategy=strategy, max_delay=10, jitter=False)
    assert [policy.delay(retry, 0.0) for retry in range(1, 6)] == delays


@pytest.mark.parametrize(("base", "delay"), [(1.0, 60.0), (0.0, 0.0)])
def test_a_huge_retry_number_does_not_overflow(base: float, delay: float) -> None:
    assert RetryPolicy(base_delay=base, jitter=False).delay(10**9, 0.0) == delay


def test_a_custom_delay_is_asked_for_each_retry_and_capped() -> None:
    policy = RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=lambda retry: 25 * retry, jitter=False)
    assert [policy.delay(retry, 0.0) for retry in (1, 2, 3)] == [25, 50, 60]


@pytest.mark.parametrize("given_back", [1e300, 10**400])
def test_a_custom_delay_is_capped_however_long_it_is(given_back: float) -> None:
    policy = RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=lambda retry: given_back)
    assert policy.delay(1, 0.0) == 60.0


@pytest.mark.parametrize("given_back", [-1, math.nan, math.inf, "5", None, True])
def test_a_custom_delay_that_is_no_time_is_refused(given_back: Any) -> None:
    policy = RetryPolicy(strategy=RetryStrategy.CUSTOM, delay_for=lambda retry: given_back)
    with pytest.raises(InvalidOption, match=r"delay_for\(7\) gave .* it should give seconds"):
        policy.delay(7, 0.0)


def test_never_on_wins_over_retry_on() -> None:
    policy = RetryPolicy(retry_on=(OSError, ValueError), never_on=(FileNotFoundError,))
    assert policy.takes(ConnectionError())
    assert not policy.takes(FileNotFoundError())
    assert not policy.takes(KeyError())


def test_one_class_of_errors_needs_no_tuple() -> None:
    assert RetryPolicy(retry_on=OSError) == RetryPolicy(retry_on=(OSError,))


def test_by_default_every_exception_is_tried_again_but_no_exit() -> None:
    assert RetryPolicy().takes(ValueError())
    assert not RetryPolicy().takes(SystemExit())


def test_the_presets_are_what_they_say() -> None:
    assert RetryPolicy.network().max_retries == 5
    assert (RetryPolicy.cpu().max_retries, RetryPolicy.cpu().delay(1, 0.0)) == (1, 5.0)
    assert (RetryPolicy.none().max_retries, RetryPolicy.none().retry_on_timeout) == (0, False)


@pytest.mark.parametrize(
    "options",
    [
        {"max_retries": -1},
        {"max_retries": True},
        {"max_retries": 1.5},
        {"max_retries": 1_000_001},
        {"strategy": "fixed"},
        {"base_delay": -0.1},
        {"base_delay": "1"},
        {"max_delay": math.nan},
        {"max_delay": math.inf},
        {"max_delay": 1e10},
        {"base_delay": 10**400},
        {"multiplier": 0.9},
        {"jitter": 1},
        {"retry_on_timeout": None},
        {"retry_on": ("OSError",)},
        {"never_on": int},
        {"strategy": RetryStrategy.CUSTOM},
        {"delay_for": lambda retry: 1.0},
        {"strategy": RetryStrategy.CUSTOM, "delay_for": 5},
    ],
)
def test_an_option_out_of_range_is_refused_in_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption) as caught:
        RetryPolicy(**options)
    assert "\n" not in str(caught.value)


def test_control_exceptions_carry_what_they_were_given() -> None:
    assert Retry().after is None
    assert Retry(after=5).after == 5.0
    assert Snooze(2.5).seconds == 2.5
    assert Abort("no such user").reason == "no such user"
    assert StopRequested(StopReason.CANCEL).reason is StopReason.CANCEL


@pytest.mark.parametrize("error", [Retry(3), Retry(), Snooze(1), Abort("gone"), StopRequested(StopReason.SHUTDOWN)])
def test_control_exceptions_cross_a_process_border(error: Exception) -> None:
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "5", True])
def test_control_exceptions_refuse_what_is_no_time(seconds: Any) -> None:
    with pytest.raises(InvalidOption, match="seconds, 0 or more"):
        Retry(after=seconds)
    with pytest.raises(InvalidOption, match="seconds, 0 or more"):
        Snooze(seconds)


@pytest.mark.parametrize("seconds", [1e10, 10**400])
def test_control_exceptions_refuse_times_over_a_hundred_years(seconds: float) -> None:
    with pytest.raises(InvalidOption, match="at most 100 years"):
        Retry(after=seconds)
    with pytest.raises(InvalidOption, match="at most 100 years"):
        Snooze(seconds)


def test_a_reason_to_abort_is_text() -> None:
    with pytest.raises(InvalidOption, match="it should be text"):
        Abort(5)  # type: ignore[arg-type]

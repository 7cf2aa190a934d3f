from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.budget import Budget
from actors.core.errors import InvalidOption

STEPS = st.lists(st.floats(0, 10), max_size=200)


def test_a_burst_within_the_capacity_waits_for_nothing() -> None:
    budget = Budget(capacity=10, refill_per_second=1)
    assert [budget.spend(5.0) for _ in range(10)] == [0.0] * 10


def test_a_thousand_retries_due_at_one_instant_come_back_in_a_line() -> None:
    budget = Budget(capacity=100, refill_per_second=50)
    waits = [budget.spend(0.0) for _ in range(1000)]
    assert waits[:100] == [0.0] * 100
    assert waits[100:] == pytest.approx([place / 50 for place in range(1, 901)])


@given(STEPS)
def test_retries_come_no_faster_than_burst_and_refill(steps: list[float]) -> None:
    budget, now, starts = Budget(capacity=5, refill_per_second=2), 0.0, []
    for step in steps:
        now += step
        starts.append(now + budget.spend(now))
    for first, start in enumerate(starts):
        within = sum(start <= other <= start + 3 for other in starts[first:])
        assert within <= 5 + 2 * 3 + 1


@given(STEPS)
def test_no_retry_is_dropped_and_a_later_one_never_comes_earlier(steps: list[float]) -> None:
    budget, now, starts = Budget(capacity=2, refill_per_second=0.5), 0.0, []
    for step in steps:
        now += step
        starts.append(now + budget.spend(now))
    assert all(math.isfinite(start) for start in starts)
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(starts))


def test_a_quiet_time_refills_the_budget_up_to_its_capacity() -> None:
    budget = Budget(capacity=2, refill_per_second=1)
    assert [budget.spend(0.0) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert [budget.spend(100.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_clock_that_steps_back_refills_nothing() -> None:
    budget = Budget(capacity=1, refill_per_second=1)
    assert [budget.spend(100.0), budget.spend(40.0)] == [0.0, 1.0]


@pytest.mark.parametrize(
    "numbers", [(0, 1), (math.inf, 1), (math.nan, 1), (1, 0), (1, -1), (1, math.inf), (1, math.nan)]
)
def test_numbers_out_of_range_are_refused(numbers: tuple[float, float]) -> None:
    with pytest.raises(InvalidOption, match="it should be"):
        Budget(*numbers)

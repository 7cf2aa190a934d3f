from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.duration import LAST, SHORTEST, bucket, lower, quantile, upper

YEAR = 365 * 86400.0
SECONDS = st.floats(SHORTEST, 30 * YEAR)
BUCKETS = st.integers(1, LAST - 1)


@given(SECONDS)
def test_a_duration_lies_in_its_bucket(seconds: float) -> None:
    number = bucket(seconds)
    assert lower(number) < seconds <= upper(number)


@given(BUCKETS)
def test_the_edges_of_a_bucket_belong_where_they_should(number: int) -> None:
    assert bucket(upper(number)) == number
    assert bucket(math.nextafter(lower(number), math.inf)) == number
    assert bucket(lower(number)) == number - 1


@given(BUCKETS)
def test_a_bucket_is_four_percent_wide(number: int) -> None:
    assert upper(number) / lower(number) == pytest.approx(1.04)


@pytest.mark.parametrize("seconds", [0.0, -5.0, -math.inf, 1e-9, SHORTEST])
def test_nothing_and_less_go_to_the_first_bucket(seconds: float) -> None:
    assert bucket(seconds) == 0


@pytest.mark.parametrize("seconds", [100 * YEAR, math.inf])
def test_what_is_longer_than_all_buckets_goes_to_the_last(seconds: float) -> None:
    assert bucket(seconds) == LAST
    assert lower(LAST) > 30 * YEAR


@given(st.lists(SECONDS, min_size=1), st.floats(0, 1))
def test_a_quantile_is_off_by_four_percent_at_most(durations: list[float], q: float) -> None:
    exact = sorted(durations)[max(0, math.ceil(q * len(durations)) - 1)]
    assert quantile(Counter(map(bucket, durations)), q) == pytest.approx(exact, rel=0.04)


@given(SECONDS, st.lists(SECONDS), st.lists(SECONDS))
def test_counts_of_two_nodes_can_be_added(one: float, here: list[float], there: list[float]) -> None:
    together = Counter(map(bucket, [one, *here])) + Counter(map(bucket, there))
    assert quantile(together, 0.5) == quantile(Counter(map(bucket, [one, *here, *there])), 0.5)


def test_the_first_bucket_stands_for_the_shortest_duration() -> None:
    assert quantile({0: 3}, 0.95) == SHORTEST


def test_without_durations_a_quantile_is_zero() -> None:
    assert quantile({}, 0.95) == 0.0

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from actors.core import options
from actors.core.errors import InvalidOption
from actors.core.task import LATEST, moment

HUNDRED_YEARS = 100 * 365.25 * 24 * 3600


@pytest.mark.parametrize("value", [HUNDRED_YEARS * 1.001, 1e300, 10**400])
def test_times_over_a_hundred_years_are_refused_in_one_line(value: float) -> None:
    with pytest.raises(InvalidOption, match=r"^wait is 1?.*; it should be at most 100 years, 3155760000 seconds$"):
        options.seconds("wait", value)
    with pytest.raises(InvalidOption, match="at most 100 years"):
        options.span("wait", value)
    with pytest.raises(InvalidOption, match="at most 100 years"):
        options.limit("wait", value)


def test_a_hundred_years_are_taken() -> None:
    assert options.seconds("wait", HUNDRED_YEARS) == HUNDRED_YEARS
    assert options.span("wait", timedelta(days=36525)) == HUNDRED_YEARS
    assert options.limit("timeout", math.inf) is None


def test_the_longest_timedelta_is_refused() -> None:
    with pytest.raises(InvalidOption, match="at most 100 years"):
        options.span("delay", timedelta.max)


@pytest.mark.parametrize(
    "value",
    [
        datetime.max,
        datetime.min,
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(9001, 1, 1, tzinfo=UTC),
    ],
)
def test_a_time_outside_of_1970_to_9000_is_refused_and_told_what_would_work(value: datetime) -> None:
    with pytest.raises(InvalidOption) as caught:
        options.epoch("expires", value)
    assert str(caught.value) == (
        f"expires is {value}; it should be in the years 1970 to 9000, or None for no such limit"
    )


def test_the_first_and_the_last_time_are_taken() -> None:
    assert options.epoch("run_at", datetime(1970, 1, 1)) == 0.0
    assert options.epoch("run_at", datetime(9000, 12, 31, tzinfo=UTC)) == LATEST


@pytest.mark.parametrize("seconds", [-1e18, -1.0, 0.0, LATEST, 1e18, math.inf, -math.inf, math.nan])
def test_any_number_in_a_row_is_read_as_a_time(seconds: float) -> None:
    assert 1970 <= moment(seconds).year <= 9000


@pytest.mark.parametrize("value", [-1, 1_000_001, 10**30, 1.0, True, None])
def test_retries_are_zero_to_a_million(value: Any) -> None:
    assert (options.retries(0), options.retries(1_000_000)) == (0, 1_000_000)
    with pytest.raises(InvalidOption, match="it should be a whole number from 0 to 1000000"):
        options.retries(value)

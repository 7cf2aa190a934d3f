from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel import Limits
from actors.kernel.restarts import History

SMALL = Limits(restarts=3, within=10, first_delay=1, multiplier=2, most_delay=3)


def delays(limits: Limits, crashes: list[tuple[str, float]]) -> list[float | None]:
    """The decision after each crash: (name, time)."""
    history, decided = History(limits), []
    for name, at in crashes:
        history = history.crashed(name, at)
        decided.append(history.delay())
    return decided


@pytest.mark.parametrize(
    ("limits", "crashes", "expected"),
    [
        pytest.param(SMALL, [("a", 0)], [1], id="the first restart waits the first delay"),
        pytest.param(SMALL, [("a", 0), ("a", 1), ("a", 2)], [1, 2, 3], id="delays grow up to the cap"),
        pytest.param(SMALL, [("a", 0), ("b", 1), ("a", 2)], [1, 1, 2], id="a child waits for its own crashes alone"),
        pytest.param(SMALL, [("a", 0), ("b", 1), ("c", 2), ("d", 3)], [1, 1, 1, None], id="the limit is the tree's"),
        pytest.param(SMALL, [("a", 0), ("a", 1), ("a", 11)], [1, 2, 1], id="a quiet time resets the delay"),
        pytest.param(
            SMALL, [("a", t) for t in (0, 4, 8, 12, 16)], [1, 2, 3, 3, 3], id="a slow crasher is kept for ever"
        ),
        pytest.param(Limits(restarts=0), [("a", 0)], [None], id="no restart is allowed"),
        pytest.param(Limits(first_delay=0), [("a", 0), ("a", 0)], [0, 0], id="no delay is allowed too"),
    ],
)
def test_a_crash_is_followed_by_a_delay_or_by_the_end_of_the_tree(
    limits: Limits, crashes: list[tuple[str, float]], expected: list[float | None]
) -> None:
    assert delays(limits, crashes) == expected


@pytest.mark.parametrize(
    "wrong", [{"restarts": -1}, {"within": -1.0}, {"first_delay": -1.0}, {"multiplier": 0.5}, {"most_delay": -1.0}]
)
def test_limits_refuse_what_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]


LIMITS = st.builds(
    Limits,
    restarts=st.integers(0, 5),
    within=st.floats(0, 100),
    first_delay=st.floats(0, 10),
    multiplier=st.floats(1, 1e300),
    most_delay=st.floats(0, 10),
)
STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), min_size=1, max_size=30)


@given(LIMITS, STEPS)
def test_a_tree_is_given_up_exactly_when_more_than_its_restarts_fall_into_the_window(
    limits: Limits, steps: list[tuple[str, float]]
) -> None:
    now, times, history = 0.0, [], History(limits)
    for name, pause in steps:
        now += pause
        times.append(now)
        history = history.crashed(name, now)
        recent = [at for at in times[:-1] if now - at < limits.within]
        assert (history.delay() is None) == (len(recent) + 1 > limits.restarts)


@given(LIMITS, STEPS)
def test_a_delay_is_never_longer_than_the_cap(limits: Limits, steps: list[tuple[str, float]]) -> None:
    assert all(delay is None or 0 <= delay <= limits.most_delay for delay in delays(limits, steps))

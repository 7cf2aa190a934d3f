"""How many calls of a type share a slot, by how long they take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.execution.process.pace import BUDGET, MOST, Pace, depth_of

seconds = st.floats(min_value=0.0, max_value=1000.0)


@given(seconds)
def test_as_many_share_a_slot_as_fit_into_its_budget(each: float) -> None:
    depth = depth_of(each)
    assert 1 <= depth <= MOST
    assert depth & (depth - 1) == 0
    assert depth == 1 or depth * each <= BUDGET * 1.000001
    assert depth == MOST or 2 * depth * each > BUDGET * 0.999999


def test_a_type_that_was_never_measured_is_not_small() -> None:
    pace = Pace()
    assert pace.depth("work") == 1
    assert pace.depths == {}


def test_a_type_that_becomes_slow_is_small_no_longer_and_may_become_so_again() -> None:
    pace = Pace()
    pace.saw("work", 0.0001)
    assert pace.depths == {"work": MOST}
    pace.saw("work", 1.0)
    assert pace.depths == {}
    for _ in range(50):
        pace.saw("work", 0.0001)
    assert pace.depth("work") == MOST


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 100)), st.dictionaries(st.sampled_from("abc"), seconds))
def test_calls_fill_as_many_slots_as_their_parts_add_up_to(counts: dict[str, int], means: dict[str, float]) -> None:
    pace = Pace()
    for name, mean in means.items():
        pace.saw(name, mean)
    exact = sum(count / pace.depth(name) for name, count in counts.items())
    assert pace.slots_of(counts) - 1 < exact <= pace.slots_of(counts)

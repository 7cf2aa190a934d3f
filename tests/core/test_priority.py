from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.core.priority import rank
from actors.core.task import TaskPriority

DUE = st.integers(0, 4_000_000_000)
PRIORITY = st.integers(0, 100)


@given(DUE, st.integers(0, 600))
def test_high_overtakes_normal_tasks_up_to_five_minutes_older(due: int, older: int) -> None:
    high = rank(due, TaskPriority.HIGH, aging=60)
    normal = rank(due - older, TaskPriority.NORMAL, aging=60)
    assert (high < normal) == (older < 300)


@given(DUE, PRIORITY, PRIORITY)
def test_nothing_starves(due: int, priority: int, other: int) -> None:
    waiting = rank(due, priority, aging=60)
    assert rank(due + 100 * 60 + 1, other, aging=60) > waiting


@given(DUE, DUE, PRIORITY)
def test_one_priority_goes_by_due_time(one: int, other: int, priority: int) -> None:
    assert (rank(one, priority, 60) < rank(other, priority, 60)) == (one < other)


def test_without_aging_priority_counts_for_nothing() -> None:
    assert rank(5.0, 100, 0) == rank(5.0, 0, 0) == 5.0

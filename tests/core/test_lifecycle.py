from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import IllegalTransition
from actors.core.lifecycle import TRANSITIONS, Transition, after, sources, target
from actors.core.task import ENDED, WAITING, TaskStatus


def reachable(start: TaskStatus, without: Transition | None = None) -> set[TaskStatus]:
    found, fresh = {start}, {start}
    while fresh:
        fresh = {to for (status, t), to in TRANSITIONS.items() if status in fresh and t is not without} - found
        found |= fresh
    return found


@pytest.mark.parametrize("status", TaskStatus)
def test_every_state_can_reach_every_end(status: TaskStatus) -> None:
    assert reachable(status) >= ENDED


@pytest.mark.parametrize("status", [status for status in TaskStatus if status in ENDED])
def test_only_a_revival_leaves_an_end(status: TaskStatus) -> None:
    assert status.ended
    assert reachable(status, without=Transition.REVIVE) == {status}
    assert after(status, Transition.REVIVE) is TaskStatus.PENDING


def test_every_state_is_reached_from_a_new_task() -> None:
    assert reachable(TaskStatus.PENDING) == set(TaskStatus)


def test_every_transition_has_one_target_and_some_sources() -> None:
    for transition in Transition:
        assert sources(transition)
        assert {after(status, transition) for status in sources(transition)} == {target(transition)}


def test_only_a_claim_starts_a_task_and_only_waiting_tasks_are_claimed() -> None:
    assert {t for (_, t), to in TRANSITIONS.items() if to is TaskStatus.RUNNING} == {Transition.CLAIM}
    assert sources(Transition.CLAIM) == sources(Transition.EXPIRE) == WAITING


def test_a_cancel_is_taken_until_the_end() -> None:
    assert sources(Transition.CANCEL) == set(TaskStatus) - ENDED


@pytest.mark.parametrize("status", TaskStatus)
@pytest.mark.parametrize("transition", Transition)
def test_what_is_not_in_the_table_is_refused_with_what_would_do(status: TaskStatus, transition: Transition) -> None:
    if status in sources(transition):
        assert after(status, transition) is target(transition)
        return
    with pytest.raises(IllegalTransition) as caught:
        after(status, transition)
    message = str(caught.value)
    assert message.startswith(f"a {status.value} task cannot take {transition.value!r}; it takes '")
    assert "\n" not in message


@given(st.lists(st.sampled_from(Transition), max_size=60))
def test_however_a_task_walks_it_runs_only_after_a_claim_and_rests_only_at_an_end(walk: list[Transition]) -> None:
    status = TaskStatus.PENDING
    for transition in walk:
        before = status
        try:
            status = after(status, transition)
        except IllegalTransition:
            continue
        assert (status is TaskStatus.RUNNING) == (transition is Transition.CLAIM)
        assert not before.ended or transition is Transition.REVIVE
        assert not status.ended or before is TaskStatus.RUNNING or transition in (Transition.CANCEL, Transition.EXPIRE)

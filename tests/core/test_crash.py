from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.crash import ALONE_AFTER, Verdict, after_crash


def test_a_crash_before_the_handler_started_charges_nothing() -> None:
    assert after_crash(0, 1, started=False, company=0) == Verdict(0, 1, alone=False, failed=False)
    assert after_crash(1, 2, started=False, company=5) == Verdict(1, 2, alone=True, failed=False)


def test_a_handler_that_ran_by_itself_is_charged() -> None:
    assert after_crash(0, 0, started=True, company=0) == Verdict(1, 1, alone=False, failed=False)


def test_handlers_in_company_are_seen_and_not_charged() -> None:
    assert after_crash(0, 0, started=True, company=1) == Verdict(0, 1, alone=False, failed=False)


def test_after_two_crashes_a_task_runs_alone() -> None:
    assert after_crash(0, 1, started=True, company=3) == Verdict(0, 2, alone=True, failed=False)


def test_a_third_crash_while_alone_fails_the_task() -> None:
    assert after_crash(0, 2, started=True, company=0) == Verdict(1, 3, alone=True, failed=True)


@pytest.mark.parametrize("seen", range(10))
def test_no_crash_in_company_ever_fails_a_task(seen: int) -> None:
    assert not after_crash(0, seen, started=True, company=1).failed


@attrs.define
class Job:
    """A task of a simulated node; *patience* is how many handlers of its node start before it kills the process."""

    poison: bool
    patience: int = 0
    crash_count: int = 0
    crashes_seen: int = 0
    alone: bool = False
    ended: str = ""


@attrs.define
class Node:
    """Claims as a node does: suspects one by one when nothing runs, all others as many as there are slots."""

    jobs: list[Job]
    slots: int
    crashes: int = 0

    def live(self) -> None:
        """One life of the process, until everything has ended or a poison kills it."""
        while waiting := [job for job in self.jobs if not job.ended]:
            suspect = next((job for job in waiting if job.alone), None)
            claimed = [suspect] if suspect else waiting[: self.slots]
            if any(job.poison for job in claimed):
                self.crash(claimed)
                return
            for job in claimed:
                job.ended = "completed"

    def crash(self, claimed: list[Job]) -> None:
        """The first poison lets some others start, then the process dies."""
        self.crashes += 1
        first = next(index for index, job in enumerate(claimed) if job.poison)
        started = claimed[: first + 1 + claimed[first].patience]
        for index, job in enumerate(claimed):
            verdict = after_crash(
                job.crash_count, job.crashes_seen, started=index < len(started), company=len(started) - 1
            )
            job.crash_count, job.crashes_seen, job.alone = verdict.crash_count, verdict.crashes_seen, verdict.alone
            job.ended = "failed" if verdict.failed else ""


@given(
    st.lists(st.builds(Job, poison=st.booleans(), patience=st.integers(0, 5)), max_size=12),
    st.integers(1, 6),
)
def test_innocent_neighbours_of_poison_complete_and_poison_fails_after_few_crashes(jobs: list[Job], slots: int) -> None:
    node, poisons = Node(jobs, slots), sum(job.poison for job in jobs)
    most = (ALONE_AFTER + 1) * poisons
    for _ in range(most + 1):
        node.live()
    assert [job.ended for job in jobs] == ["failed" if job.poison else "completed" for job in jobs]
    assert node.crashes <= most
    assert all(job.crashes_seen <= ALONE_AFTER + 1 for job in jobs)

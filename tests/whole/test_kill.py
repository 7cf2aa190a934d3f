"""kill -9 at random moments of a program that submits and runs without pause."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.waiting import Slowness
from tests.whole.process import Program
from tests.whole.table import File, result

ROUNDS = int(os.environ.get("ACTORS_KILL_ROUNDS", "10"))
SEED = int(os.environ.get("ACTORS_KILL_SEED", "20240607"))
BACK_WITHIN = 1.0
"""Seconds from the entry of `running()` within which what ran at the kill runs again, if the machine is ours alone."""


@attrs.frozen
class Kill:
    """What the file said after a kill: the attempts that were RUNNING, by task."""

    running: dict[str, int]
    dead_at: float


@attrs.define
class Story:
    """All that happened in the rounds.

    Attributes:
        entered: when each restart entered `running()`.
        alone: tasks that were the only one RUNNING at a kill.
    """

    file: File
    folder: Path
    kills: list[Kill] = attrs.field(factory=list)
    entered: list[float] = attrs.field(factory=list)
    alone: set[str] = attrs.field(factory=set)

    def killed(self, program: Program) -> None:
        dead_at = program.kill()
        running = {row["task_id"]: row["attempt"] for row in self.file.tasks("status = 'running'").values()}
        self.kills.append(Kill(running, dead_at))
        if len(running) == 1:
            self.alone |= set(running)

    def acknowledged(self) -> list[str]:
        return (self.folder / "acknowledged").read_text().split()

    def executed(self) -> dict[str, dict[int, float]]:
        """When each attempt's handler started, by task."""
        found: dict[str, dict[int, float]] = {}
        for line in (self.folder / "executed").read_text().splitlines():
            task_id, attempt, at, _ = line.split()
            assert int(attempt) not in found.setdefault(task_id, {}), f"attempt {attempt} of {task_id} ran twice"
            found[task_id][int(attempt)] = float(at)
        return found

    def times_to_be_back(self) -> list[float]:
        """For each task that a kill left RUNNING: seconds from the next restart until its handler ran again."""
        executed = self.executed()
        times = []
        for number, (kill, entered) in enumerate(zip(self.kills, self.entered, strict=True)):
            next_death = self.kills[number + 1].dead_at if number + 1 < len(self.kills) else float("inf")
            for task_id, attempt in kill.running.items():
                again = [at for n, at in executed.get(task_id, {}).items() if n > attempt and at < next_death]
                if again or next_death - entered > BACK_WITHIN:
                    times.append(min(again, default=float("inf")) - entered)
        return times


def _rounds(story: Story, start: Callable[..., Program], chance: random.Random) -> None:
    """Kills at moments that nobody chose, most of them in full work, some during a start."""
    for number in range(ROUNDS):
        program = start("flood", story.file.path, story.folder, "flood")
        entered = float(program.line("entering")[0])
        if story.kills:
            story.entered.append(entered)
        if number % 5 == 4:
            _let_pass(chance.uniform(0.0, 0.3))
        else:
            program.line("running")
            _let_pass(chance.uniform(0.4, 1.2))
        story.killed(program)
    drain = start("flood", story.file.path, story.folder, "drain")
    story.entered.append(float(drain.line("entering")[0]))
    drain.line("ended", within=60)
    assert drain.wait() == 0


def _let_pass(seconds: float) -> None:
    """The moment of a kill is a time, not an event: nothing is waited for here."""
    time.sleep(seconds)


@pytest.mark.timeout(60 + 6 * ROUNDS)
def test_every_acknowledged_task_completes_once_whenever_the_process_is_killed(
    start: Callable[..., Program], file: File, tmp_path: Path
) -> None:
    print(f"\nkills: {ROUNDS} rounds, ACTORS_KILL_SEED={SEED}")
    story, slowness = Story(file, tmp_path), Slowness()
    with slowness.measured():
        _rounds(story, start, random.Random(SEED))

    hit = sum(len(kill.running) for kill in story.kills)
    assert hit > 5 * ROUNDS, "the kills did not land while tasks were RUNNING"
    _assert_all_completed_once(story)
    times = story.times_to_be_back()
    acknowledged = len(story.acknowledged())
    print(
        f"{acknowledged} tasks acknowledged, {hit} attempts RUNNING at a kill; back after"
        f" p50 {statistics.median(times):.3f} s, max {max(times):.3f} s, {slowness.factor:.1f} times as long as alone"
    )
    assert max(times) < BACK_WITHIN * slowness.factor


def _assert_all_completed_once(story: Story) -> None:
    tasks, attempts, executed = story.file.tasks(), story.file.attempts(), story.executed()
    acknowledged = story.acknowledged()
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= set(tasks)
    for task_id, row in tasks.items():
        _assert_completed_once(row, attempts.get(row["seq"], []), executed[task_id])
        assert row["crash_count"] == 0 or task_id in story.alone
    story.file.assert_exact(completed=len(tasks))
    (completed,) = story.file.rows("SELECT sum(value) AS n FROM actors_counter WHERE name = 'completed'")
    assert completed["n"] == len(tasks)


def _assert_completed_once(row: dict[str, Any], written: list[dict[str, Any]], ran: dict[int, float]) -> None:
    """One attempt alone is the outcome: the last; each earlier one is written down as crashed or lost."""
    assert row["status"] == "completed"
    assert result(row) == row["attempt"] == max(ran)
    assert [attempt["number"] for attempt in written] == list(range(1, row["attempt"]))
    assert {attempt["outcome"] for attempt in written} <= {"crashed", "lost"}

"""kill -9 at each place on the way of a task: what the file says then, and that the next start makes it good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.whole.process import Program
from tests.whole.programs.amounts import STAGED
from tests.whole.table import File, result

Rows = dict[str, dict[str, Any]]


@attrs.frozen
class Scene:
    """A program that dies at one place, and what is left of it."""

    file: File
    effects: Path
    start: Callable[..., Program]

    def dies(self, place: str) -> tuple[Program, Rows]:
        """Let it die by itself there; the rows that it leaves."""
        program = self.start("stages", self.file.path, self.effects, place)
        program.line("dying")
        assert program.wait() == -9, program.story()
        return program, self.file.tasks()

    def heals(self) -> Rows:
        """Start again, and let everything come to its end; the rows then."""
        program = self.start("stages", self.file.path, self.effects, "nowhere")
        assert program.line("completed") == [str(STAGED)]
        assert program.wait() == 0, program.story()
        self.file.assert_exact(completed=STAGED)
        rows = self.file.tasks()
        assert all(result(row) == row["attempt"] for row in rows.values())
        return rows

    def done(self) -> Counter[str]:
        """How often each task's side effect was done."""
        lines = self.effects.read_text().splitlines() if self.effects.exists() else []
        return Counter(line.split()[0] for line in lines)

    def outcomes(self) -> Counter[str]:
        """Of the attempts that were written down."""
        return Counter(attempt["outcome"] for written in self.file.attempts().values() for attempt in written)


@pytest.fixture
def scene(file: File, tmp_path: Path, start: Callable[..., Program]) -> Scene:
    return Scene(file, tmp_path / "effects", start)


def statuses(rows: Rows) -> Counter[str]:
    return Counter(row["status"] for row in rows.values())


def test_a_kill_before_the_claim_commits_leaves_the_tasks_pending_without_an_attempt(scene: Scene) -> None:
    _, left = scene.dies("before the claim commits")
    # The claim rides in the transaction that stores the tasks, so what was not acknowledged went with it; run
    # from tasks that were stored before, it takes nothing along.
    assert not left
    _, stored = scene.dies("after the claim")
    assert statuses(stored) == {"running": STAGED}
    _, left = scene.dies("before the claim commits")
    assert statuses(left) == {"pending": STAGED}
    assert {row["attempt"] for row in left.values()} == {1}
    rows = scene.heals()
    assert {row["attempt"] for row in rows.values()} == {2}
    assert set(scene.done().values()) == {1}


def test_a_kill_between_claim_and_start_is_charged_to_no_one(scene: Scene) -> None:
    _, left = scene.dies("after the claim")
    assert statuses(left) == {"running": STAGED}
    assert not scene.done()
    rows = scene.heals()
    assert scene.outcomes() == {"lost": STAGED}
    assert {(row["attempt"], row["crash_count"], row["crashes_seen"]) for row in rows.values()} == {(2, 0, 0)}


def test_a_kill_in_mid_task_runs_the_task_again(scene: Scene) -> None:
    program = scene.start("stages", scene.file.path, scene.effects, "in mid-task")
    program.line("all-run")
    program.kill()
    assert statuses(scene.file.tasks()) == {"running": STAGED}
    rows = scene.heals()
    assert scene.outcomes() == {"crashed": STAGED}
    assert {(row["attempt"], row["crash_count"], row["crashes_seen"]) for row in rows.values()} == {(2, 0, 1)}
    assert set(scene.done().values()) == {2}


def test_a_kill_after_the_side_effect_and_before_the_settle_does_the_effect_twice(scene: Scene) -> None:
    _, left = scene.dies("before the settle")
    assert statuses(left) == {"running": STAGED}
    assert scene.done()
    rows = scene.heals()
    # The handler had returned: whoever killed the process, it was not the task.
    assert {(row["attempt"], row["crash_count"]) for row in rows.values()} == {(2, 0)}
    assert max(scene.done().values()) == 2


def test_a_kill_after_the_settle_and_before_the_reply_runs_nothing_again(scene: Scene) -> None:
    program, left = scene.dies("after the settle")
    settled = {word for words in program.lines if words[0] == "settled" for word in words[1:]}
    assert settled
    assert {left[task_id]["status"] for task_id in settled} == {"completed"}
    rows = scene.heals()
    assert {rows[task_id]["attempt"] for task_id in settled} == {1}
    assert {scene.done()[task_id] for task_id in settled} == {1}


def test_a_kill_during_a_batched_settle_stores_all_of_the_batch_or_nothing(scene: Scene) -> None:
    program, left = scene.dies("in mid-settle")
    (halves,) = [int(words[1]) for words in program.lines if words[0] == "half-settled"]
    assert halves >= 1
    assert statuses(left) == {"running": STAGED}
    rows = scene.heals()
    assert {(row["attempt"], row["crash_count"]) for row in rows.values()} == {(2, 0)}

"""kill -9, a long pause and SIGTERM, of a node whose handlers run: what becomes of them, in every mode."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import psutil
import pytest

from tests.execution.processes import lives, numbers_in
from tests.whole.process import Program, poll
from tests.whole.programs.mode_bodies import MODES
from tests.whole.table import File, result

BACK_WITHIN = 5.0
"""Seconds: one, and what the imports of a first process take on a machine that is busy."""


@attrs.frozen
class Scene:
    """A program with a handler for each mode; see there."""

    file: File
    folder: Path
    start: Callable[..., Program]

    def begins(self, *words: str, grace: float = 0.5) -> Program:
        """Start it."""
        return self.start("modes", self.file.path, self.folder, grace, *words)

    def runs(self, modes: tuple[str, ...] = MODES, grace: float = 0.5) -> Program:
        """Start it, and wait until the first attempt in each of *modes* waits."""
        program = self.begins(*modes, grace=grace)
        for mode in modes:
            self.process_of(mode)
        return program

    def process_of(self, mode: str, attempt: int = 1) -> int:
        """The process in which that attempt runs, as soon as it does."""
        path = self.folder / f"{mode}.{attempt}"
        poll(path.exists, within=30.0)
        return numbers_in(path)[0]

    def heals(self) -> Program:
        """Start it again, and let everything come to its end; all is whole then."""
        program = self.begins()
        assert program.line("whole", within=60.0) == ["True"]
        assert program.wait() == 0, program.story()
        return program

    def assert_completed(self, attempt: int, *outcomes: str) -> None:
        """Every task has, by that attempt, and those before it are written down with these outcomes."""
        rows = self.file.tasks()
        assert {(row["status"], row["attempt"], result(row), row["retry_count"]) for row in rows.values()} == {
            ("completed", attempt, attempt, 0)
        }
        written = self.file.attempts()
        assert all([one["outcome"] for one in written.get(row["seq"], [])] == [*outcomes] for row in rows.values())
        self.file.assert_exact(completed=len(rows))
        assert self.file.rows("SELECT * FROM actors_node") == []


@pytest.fixture
def scene(file: File, tmp_path: Path, start: Callable[..., Program]) -> Scene:
    return Scene(file, tmp_path, start)


def said(program: Program, word: str) -> list[str]:
    """The first value of each line that began with *word*."""
    return sorted(words[1] for words in program.lines if words[0] == word)


def test_tasks_of_every_mode_whose_node_was_killed_are_recovered_and_run_again_at_the_next_start(scene: Scene) -> None:
    program = scene.runs()
    places = {mode: scene.process_of(mode) for mode in MODES}
    assert {mode for mode, pid in places.items() if pid != program.pid} == {"process"}
    killed_at = program.kill()
    poll(lambda: not lives(places["process"]), within=1.0)
    assert time.monotonic() - killed_at < 1.0
    scene.file.assert_exact(running=len(MODES))

    again = scene.begins()
    entered = float(again.line("entering")[0])
    for mode in MODES:
        scene.process_of(mode, attempt=2)
    assert time.monotonic() - entered < BACK_WITHIN
    assert again.line("whole", within=60.0) == ["True"]
    assert again.wait() == 0, again.story()
    assert said(again, "recovered") == sorted(MODES)
    scene.assert_completed(2, "crashed")
    assert {row["crash_count"] for row in scene.file.tasks().values()} == {0}, "none can be blamed"


def lease_until(file: File) -> float:
    """Of the one working node, in epoch seconds."""
    return float(file.rows("SELECT lease_until FROM actors_node WHERE working = 1")[0]["lease_until"])


def pause(program: Program, file: File) -> None:
    """Stop the process as a laptop's sleep does, until its lease has run out."""
    while True:
        program.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.pid, os.WSTOPPED)
        if not file.is_locked():
            break
        program.signal(signal.SIGCONT)  # it was in the midst of a transaction, and nobody could take over
    poll(lambda: time.time() > lease_until(file) + 0.2)


def test_a_node_that_was_paused_past_its_lease_goes_on_where_it_was(scene: Scene) -> None:
    program = scene.runs()
    pause(program, scene.file)
    (scene.folder / "go").touch()  # what runs in a process ends meanwhile, and cannot tell
    program.signal(signal.SIGCONT)
    assert program.line("whole") == ["True"]
    assert program.wait() == 0, program.story()
    scene.assert_completed(1)
    assert not [words for words in program.lines if words[0] in ("recovered", "fenced", "returned")]


def test_a_zombie_that_wakes_after_its_tasks_were_taken_over_is_fenced_in_every_mode(scene: Scene) -> None:
    zombie = scene.runs()
    pause(zombie, scene.file)
    os.rename(f"{scene.file.path}-lock", scene.folder / "away")  # what keeps a second node from taking over
    healer = scene.heals()
    assert said(healer, "recovered") == sorted(MODES)
    (scene.folder / "go").touch()
    zombie.signal(signal.SIGCONT)
    for _ in MODES:
        zombie.line("fenced")
    assert zombie.line("whole") == ["True"]
    assert zombie.wait() == 0, zombie.story()
    assert said(zombie, "fenced") == sorted(MODES)
    scene.assert_completed(2, "crashed")


def test_a_lease_that_cannot_be_renewed_while_the_work_goes_on_costs_no_task_anything_in_any_mode(scene: Scene) -> None:
    program = scene.runs()
    with scene.file.locked():
        poll(lambda: time.time() > lease_until(scene.file) + 0.2)
        (scene.folder / "go").touch()  # they end, and their outcomes have to wait
    assert program.line("whole") == ["True"]
    assert program.wait() == 0, program.story()
    scene.assert_completed(1)


def terminate(program: Program) -> list[int]:
    """SIGTERM to all of a service's processes, as service managers send it; those that are no node."""
    children = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
    for pid in (*children, program.pid):
        os.kill(pid, signal.SIGTERM)
    return children


@pytest.mark.parametrize("times", [1, 2], ids=["the grace time runs out", "a second SIGTERM ends it"])
def test_a_sigterm_gives_back_what_does_not_end_and_leaves_no_process_in_any_mode(scene: Scene, times: int) -> None:
    program = scene.runs(grace=0.5 if times == 1 else 60.0)
    children = terminate(program)
    asked = float(program.line("stopping")[0])
    if times == 2:
        assert program.lives_on(0.3), "it did not wait for its tasks"
        terminate(program)
    ended = float(program.line("ended")[0])
    assert ended - asked < 0.5 + 5
    assert program.wait() == 0, program.story()
    assert said(program, "returned") == sorted(MODES)
    assert len(children) >= 1
    poll(lambda: not any(lives(pid) for pid in children), within=1.0)
    scene.file.assert_exact(pending=len(MODES))
    assert {(row["retry_count"], row["crash_count"]) for row in scene.file.tasks().values()} == {(0, 0)}
    scene.heals()
    scene.assert_completed(2, "returned")


def test_a_sigterm_in_mid_claim_loses_nothing_in_any_mode(scene: Scene) -> None:
    program = scene.begins(*MODES, "mid-claim")
    program.line("ended")
    assert program.wait() == 0, program.story()
    scene.file.assert_exact(pending=len(MODES))
    assert {row["retry_count"] for row in scene.file.tasks().values()} == {0}
    (scene.folder / "go").touch()
    scene.heals()
    scene.file.assert_exact(completed=len(MODES))

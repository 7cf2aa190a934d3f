"""Nodes on one PostgreSQL, told apart, and what they did: all of it, and each piece once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from tests.whole.process import ROOT, Program, poll
from tests.whole.table import OnServer, result

BACK_WITHIN = 3.0
"""Seconds from a kill within which another node runs what the dead one ran."""


@attrs.frozen
class Ran:
    """A start of a handler."""

    attempt: int
    at: float
    process: int


@attrs.define
class Herd:
    """Nodes, the database that they share, and what they note."""

    start: Callable[..., Program]
    server: OnServer
    folder: Path
    names: dict[int, str] = attrs.field(factory=dict)

    def node(
        self,
        *,
        lease: float = 15.0,
        submitters: int = 0,
        skew: float = 0.0,
        packages: Path = ROOT,
        url: str | None = None,
        awaited: bool = True,
    ) -> Program:
        """Start a node.

        Args:
            packages: where the `actors` lies that it runs.
            url: another way to the server.
            awaited: until it is ready; if not, `ready` does that later.
        """
        way = url or self.server.url
        program = self.start("member", way, self.folder, lease, submitters, skew, packages=packages)
        return self.ready(program) if awaited else program

    def ready(self, program: Program) -> Program:
        """Wait until *program* is."""
        if program.pid not in self.names:
            (self.names[program.pid],) = program.line("ready")
        return program

    def cut_off(self) -> None:
        """End all sessions of all nodes."""
        self.server.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'actors'"
        )

    def running_on(self, program: Program) -> dict[str, int]:
        """The tasks that the database says *program* runs, with their attempts."""
        found = self.server.tasks(f"status = 'running' AND node = '{self.names[program.pid]}'")
        return {task_id: row["attempt"] for task_id, row in found.items()}

    def acknowledged(self) -> list[str]:
        return [task_id for task_id, _ in self.submits()]

    def submits(self) -> list[tuple[str, int]]:
        """The tasks that were acknowledged, each with the process that submitted it."""
        lines = (self.folder / "acknowledged").read_text().splitlines()
        return [(task_id, int(process)) for task_id, process in map(str.split, lines)]

    def executed(self) -> dict[str, list[Ran]]:
        found: dict[str, list[Ran]] = {}
        for line in (self.folder / "executed").read_text().splitlines():
            task_id, attempt, at, process = line.split()
            found.setdefault(task_id, []).append(Ran(int(attempt), float(at), int(process)))
        return found

    def goes_on(self, more: int = 30) -> None:
        """Wait until *more* tasks are acknowledged; submitters wait for the ends of what they have submitted."""
        done = len(self.acknowledged())
        poll(lambda: len(self.acknowledged()) > done + more)

    def work_off(self, within: float = 30.0, packages: Path = ROOT) -> None:
        """Wait until all is done, by a node that submits nothing."""
        last = self.node(packages=packages)
        self.drained(within)
        last.tell("end")
        last.line("ended")
        assert last.wait() == 0

    def drained(self, within: float) -> None:
        """Wait until no task is left to do."""
        unfinished = "SELECT count(*) AS n FROM actors_task WHERE status IN ('pending', 'running', 'retrying')"
        poll(lambda: self.server.rows(unfinished)[0]["n"] == 0, within=within, every=0.05)

    def assert_all_done_once(self) -> dict[str, dict[str, Any]]:
        """Nothing that was acknowledged is lost, and one attempt alone is the outcome; the rows."""
        tasks, written, executed = self.server.tasks(), self.server.attempts(), self.executed()
        acknowledged = self.acknowledged()
        assert len(set(acknowledged)) == len(acknowledged)
        assert set(acknowledged) <= set(tasks)
        for task_id, row in tasks.items():
            attempts = [ran.attempt for ran in executed[task_id]]
            assert len(set(attempts)) == len(attempts), f"an attempt of {task_id} ran twice"
            assert row["status"] == "completed", row
            assert result(row) == row["attempt"] == max(attempts)
            earlier = written.get(row["seq"], [])
            assert [attempt["number"] for attempt in earlier] == list(range(1, row["attempt"]))
            assert {attempt["outcome"] for attempt in earlier} <= {"crashed", "lost", "returned"}
        self.server.assert_exact(completed=len(tasks))
        (counted,) = self.server.rows("SELECT sum(value) AS n FROM actors_counter WHERE name = 'completed'")
        assert counted["n"] == len(tasks)
        return tasks

    def assert_all_ran_once(self) -> None:
        """Nobody was taken for dead, and nothing that ran was started again."""
        tasks = self.assert_all_done_once()
        assert {row["crash_count"] for row in tasks.values()} == {0}
        assert {len(ran) for ran in self.executed().values()} == {1}


def times_to_be_back(herd: Herd, kills: list[tuple[float, dict[str, int]]]) -> list[float]:
    """For each task that a kill left RUNNING: seconds until its handler ran again.

    Or was about to, on a node that was killed in its turn. What ended all the same, by what the server had been told
    before, is none of them.
    """
    ended = {task_id: row["attempt"] for task_id, row in herd.server.tasks("status = 'completed'").items()}
    begun = {(task_id, ran.attempt): ran.at for task_id, runs in herd.executed().items() for ran in runs}
    for at, left in kills:
        for pair in left.items():
            begun.setdefault(pair, at)
    return [
        begun.get((task_id, attempt + 1), float("inf")) - at
        for at, left in kills
        for task_id, attempt in left.items()
        if ended.get(task_id) != attempt
    ]


def end_in_order(*nodes: Program) -> None:
    for node in nodes:
        node.tell("end")
    for node in nodes:
        assert node.wait() == 0, node.story()

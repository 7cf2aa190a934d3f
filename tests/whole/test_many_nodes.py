"""Several nodes on one PostgreSQL: killed, stopped, cut off and with wrong clocks; nothing is lost, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.postgres import PostgresServer
from tests.whole.process import Program, poll
from tests.whole.table import OnServer, result

SECONDS = float(os.environ.get("ACTORS_NODES_SECONDS", "10"))
"""For how long nodes are killed again and again."""
SEED = int(os.environ.get("ACTORS_KILL_SEED", "20240607"))
BACK_WITHIN = 3.0
"""Seconds from a kill within which another node runs what the dead one ran."""
RESTARTS = 5
FEWEST_KILLS = 3
"""However slow the machine is."""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'actors'"


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

    def begin(self, lease: float = 15.0, submitters: int = 0, skew: float = 0.0) -> Program:
        """Start a node, without waiting until it is ready."""
        return self.start("member", self.server.url, self.folder, lease, submitters, skew)

    def ready(self, program: Program) -> Program:
        if program.pid not in self.names:
            (self.names[program.pid],) = program.line("ready")
        return program

    def node(self, lease: float = 15.0, submitters: int = 0, skew: float = 0.0) -> Program:
        return self.ready(self.begin(lease, submitters, skew))

    def running_on(self, program: Program) -> dict[str, int]:
        """The tasks that the database says *program* runs, with their attempts."""
        found = self.server.tasks(f"status = 'running' AND node = '{self.names[program.pid]}'")
        return {task_id: row["attempt"] for task_id, row in found.items()}

    def acknowledged(self) -> list[str]:
        return (self.folder / "acknowledged").read_text().split()

    def executed(self) -> dict[str, list[Ran]]:
        found: dict[str, list[Ran]] = {}
        for line in (self.folder / "executed").read_text().splitlines():
            task_id, attempt, at, process = line.split()
            found.setdefault(task_id, []).append(Ran(int(attempt), float(at), int(process)))
        return found

    def work_off(self, within: float = 30.0) -> None:
        """Wait until all is done, by a node that submits nothing."""
        last = self.node()
        unfinished = "SELECT count(*) AS n FROM actors_task WHERE status IN ('pending', 'running', 'retrying')"
        poll(lambda: self.server.rows(unfinished)[0]["n"] == 0, within=within, every=0.05)
        last.tell("end")
        last.line("ended")
        assert last.wait() == 0

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


@pytest.fixture
def herd(start: Callable[..., Program], postgres_url: str, tmp_path: Path) -> Iterator[Herd]:
    server = OnServer(postgres_url)
    yield Herd(start, server, tmp_path)
    server.close()


def times_to_be_back(herd: Herd, kills: list[tuple[float, dict[str, int]]]) -> list[float]:
    """For each task that a kill left RUNNING: seconds until its handler ran again, or was about to on a node that was
    killed in its turn."""
    begun = {(task_id, ran.attempt): ran.at for task_id, runs in herd.executed().items() for ran in runs}
    for at, left in kills:
        for pair in left.items():
            begun.setdefault(pair, at)
    return [
        begun.get((task_id, attempt + 1), float("inf")) - at for at, left in kills for task_id, attempt in left.items()
    ]


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_what_a_killed_node_ran_runs_again_on_another_within_three_seconds(herd: Herd) -> None:
    print(f"\nkills for {SECONDS:g} s, ACTORS_KILL_SEED={SEED}")
    chance, kills = random.Random(SEED), list[tuple[float, dict[str, int]]]()
    survivors = [herd.node(submitters=3) for _ in range(2)]
    victims = [herd.begin(submitters=3) for _ in range(2)]  # a start takes longer than a kill: one is always ahead
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or len(kills) < FEWEST_KILLS:
        victim = herd.ready(victims.pop(0))
        time.sleep(chance.uniform(0.0, 0.5))  # the moment of a kill is a time, not an event
        poll(lambda: len(herd.running_on(victim)) > 2)  # noqa: B023  # it is over when the next one is chosen
        dead_at = victim.kill()
        kills.append((dead_at, herd.running_on(victim)))
        victims.append(herd.begin(submitters=3))
    poll(lambda: not herd.running_on(victim))  # nodes that end give back what they have just taken over
    end_in_order(*survivors, *map(herd.ready, victims))
    herd.work_off()
    tasks = herd.assert_all_done_once()
    times = sorted(times_to_be_back(herd, kills))
    assert len(times) > len(kills), "the kills did not land while tasks were RUNNING"
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    print(
        f"{len(tasks)} tasks, {len(kills)} kills, {len(times)} attempts RUNNING at one; back after"
        f" p50 {statistics.median(times):.2f} s, p99 {p99:.2f} s, max {times[-1]:.2f} s"
    )
    assert times[-1] < BACK_WITHIN


def test_a_node_that_sleeps_past_its_lease_wakes_as_a_zombie_and_is_refused(herd: Herd) -> None:
    sleeper = herd.node(lease=1.0)
    sleeper.tell("slow 20 2.0")
    sleeper.line("submitted")
    poll(lambda: len(herd.running_on(sleeper)) == 20)
    sleeper.signal(signal.SIGSTOP)
    other = herd.node(lease=1.0)
    poll(lambda: len(herd.running_on(other)) == 20)
    assert herd.running_on(other) == dict.fromkeys(herd.acknowledged(), 2)
    sleeper.signal(signal.SIGCONT)
    refused = sleeper.line("fenced")
    assert refused[1] == "1"
    poll(lambda: not herd.running_on(other))
    # It is no zombie any more: known again, and at work.
    poll(lambda: herd.server.rows("SELECT count(*) AS n FROM actors_node")[0]["n"] == 2)
    end_in_order(other)
    sleeper.tell("slow 5 0.1")
    sleeper.line("submitted")
    herd.work_off()
    end_in_order(sleeper)
    tasks = herd.assert_all_done_once()
    assert {row["crash_count"] for row in tasks.values()} == {0}, "a lost lease was charged"
    outcomes = [attempt["outcome"] for rows in herd.server.attempts().values() for attempt in rows]
    assert outcomes == ["lost"] * 20


def end_in_order(*nodes: Program) -> None:
    for node in nodes:
        node.tell("end")
    for node in nodes:
        assert node.wait() == 0, node.story()


def assert_all_ran_once(herd: Herd) -> None:
    """Nobody was taken for dead, and nothing that ran was started again."""
    tasks = herd.assert_all_done_once()
    assert {row["crash_count"] for row in tasks.values()} == {0}
    assert {len(ran) for ran in herd.executed().values()} == {1}


@pytest.mark.timeout(240)
def test_nodes_go_on_after_each_restart_of_the_server_and_no_live_task_runs_twice(
    herd: Herd, postgres_server: PostgresServer
) -> None:
    if postgres_server.restart is None:
        pytest.skip("somebody else's server is not ours to restart")
    nodes = [herd.node(submitters=3) for _ in range(3)]
    for _ in range(RESTARTS):
        done = len(herd.acknowledged())
        poll(lambda: len(herd.acknowledged()) > done + 30)  # noqa: B023  # it is over before the next round
        poll(lambda: all(map(herd.running_on, nodes)))
        postgres_server.restart()
    done = len(herd.acknowledged())
    poll(lambda: len(herd.acknowledged()) > done + 30)
    end_in_order(*nodes)
    herd.work_off()
    assert_all_ran_once(herd)


@pytest.mark.timeout(120)
def test_sessions_that_are_cut_off_and_clocks_ten_minutes_wrong_do_no_harm(herd: Herd) -> None:
    chance = random.Random(SEED)
    nodes = [herd.node(submitters=3, skew=skew) for skew in (0.0, 600.0, -600.0)]
    cut = 0
    until = time.monotonic() + SECONDS / 2
    while time.monotonic() < until:
        sessions = [row["pid"] for row in herd.server.rows(SESSIONS)]
        herd.server.rows(f"SELECT pg_terminate_backend({chance.choice(sessions)})")
        cut += 1
        time.sleep(chance.uniform(0.05, 0.4))  # the moment is a time, not an event
    done = len(herd.acknowledged())
    poll(lambda: len(herd.acknowledged()) > done + 30)
    (now,) = herd.server.rows("SELECT extract(epoch FROM clock_timestamp())::float AS n")
    for row in herd.server.rows("SELECT heartbeat_at, lease_until FROM actors_node"):
        assert row["heartbeat_at"] == pytest.approx(now["n"], abs=5)
    end_in_order(*nodes)
    herd.work_off()
    print(f"\n{cut} sessions cut off, {len(herd.acknowledged())} tasks")
    assert cut > 3
    assert_all_ran_once(herd)

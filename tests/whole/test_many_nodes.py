"""Several nodes on one PostgreSQL: killed, stopped, cut off and with wrong clocks; nothing is lost, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections import Counter

import pytest

from tests.postgres import PostgresServer
from tests.whole.herd import BACK_WITHIN, Herd, end_in_order, times_to_be_back
from tests.whole.process import poll

SECONDS = float(os.environ.get("ACTORS_NODES_SECONDS", "10"))
"""For how long nodes are killed again and again."""
SEED = int(os.environ.get("ACTORS_KILL_SEED", "20240607"))
RESTARTS = 5
NODES, TASKS = 4, 20_000
FEWEST_KILLS = 3
"""However slow the machine is."""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'actors'"


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_what_a_killed_node_ran_runs_again_on_another_within_three_seconds(herd: Herd) -> None:
    print(f"\nkills for {SECONDS:g} s, ACTORS_KILL_SEED={SEED}")
    chance, kills = random.Random(SEED), list[tuple[float, dict[str, int]]]()
    survivors = [herd.node(submitters=3) for _ in range(2)]
    victims = [herd.node(submitters=3, awaited=False) for _ in range(2)]  # a start is longer than a kill: one is ahead
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or len(kills) < FEWEST_KILLS:
        victim = herd.ready(victims.pop(0))
        time.sleep(chance.uniform(0.0, 0.5))  # the moment of a kill is a time, not an event
        poll(lambda: len(herd.running_on(victim)) > 2)  # noqa: B023  # it is over when the next one is chosen
        dead_at = victim.kill()
        kills.append((dead_at, herd.running_on(victim)))
        victims.append(herd.node(submitters=3, awaited=False))
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


@pytest.mark.timeout(240)
def test_nodes_go_on_after_each_restart_of_the_server_and_no_live_task_runs_twice(
    herd: Herd, postgres_server: PostgresServer
) -> None:
    if postgres_server.restart is None:
        pytest.skip("somebody else's server is not ours to restart")
    nodes = [herd.node(submitters=3) for _ in range(3)]
    for _ in range(RESTARTS):
        herd.goes_on()
        poll(lambda: all(map(herd.running_on, nodes)))
        postgres_server.restart()
    herd.goes_on()
    end_in_order(*nodes)
    herd.work_off()
    herd.assert_all_ran_once()


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
    herd.goes_on()
    (now,) = herd.server.rows("SELECT extract(epoch FROM clock_timestamp())::float AS n")
    for row in herd.server.rows("SELECT heartbeat_at, lease_until FROM actors_node"):
        assert row["heartbeat_at"] == pytest.approx(now["n"], abs=5)
    end_in_order(*nodes)
    herd.work_off()
    print(f"\n{cut} sessions cut off, {len(herd.acknowledged())} tasks")
    assert cut > 3
    herd.assert_all_ran_once()


@pytest.mark.timeout(240)
def test_four_nodes_drain_a_queue_that_all_of_them_fill_and_each_has_a_part_in_it(herd: Herd) -> None:
    nodes = [herd.node() for _ in range(NODES)]
    for node in nodes:
        node.tell(f"quick {TASKS // NODES}")
    for node in nodes:
        node.line("submitted")
    herd.drained(within=100.0)
    end_in_order(*nodes)
    assert len(herd.acknowledged()) == TASKS
    herd.assert_all_ran_once()
    shares = Counter(ran.process for runs in herd.executed().values() for ran in runs)
    print(f"\n{TASKS} tasks, of which the nodes ran {sorted(shares.values())}")
    assert set(shares) == {node.pid for node in nodes}

"""One backlog on one PostgreSQL, drained by one node, by two and by four, each a process of its own.

All of them are on this machine, and the server too: so this does not tell what more machines bring, but what nodes cost
each other. They are up and idle before the clock starts, since the backlog is paused; it stops when the database counts
the last outcome.
"""

from __future__ import annotations

import statistics
import time

import trio

from actors import TaskStatus
from actors.store.schema import task
from bench.drain import fill
from bench.goals import Goal
from bench.node import nodes
from bench.postgres import connect, server
from bench.service import settled, system

BACKLOG = 20_000
ROUNDS = 5
FIGURES = {1: "tasks_per_second_1_node", 2: "tasks_per_second_2_nodes", 4: "tasks_per_second_4_nodes"}
GOALS = {FIGURES[2]: Goal(of=FIGURES[1]), FIGURES[4]: Goal(at_least=0.8, of=FIGURES[1])}
LOOK_EVERY = 0.05
"""Seconds; whoever looks takes part of the machine from the nodes."""


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second, and what the least busy of the most nodes did: they take turns, and the medians are told."""
    count = max(1000, round(BACKLOG * scale))
    rates: dict[int, list[float]] = {number: [] for number in FIGURES}
    shares: list[float] = []
    with server() as postgres:
        for turn in range(max(1, round(ROUNDS * scale))):
            for number, found in rates.items():
                url = postgres.database(f"turn{turn}_nodes{number}")
                found.append(rate(url, number, count))
            shares.append(least_share(url, number))
    figures = {FIGURES[number]: statistics.median(found) for number, found in rates.items()}
    return {**figures, "least_busy_of_4_percent": 100 * statistics.median(shares)}


def rate(url: str, number: int, count: int) -> float:
    """Tasks a second that *number* nodes end, out of a backlog of *count*.

    Args:
        url: of a database that is empty.
    """
    trio.run(lay_up, url, count)
    with nodes(url, number):
        seconds = trio.run(worked_off, url, count)
    assert_each_ran_once(url, count)
    return count / seconds


async def lay_up(url: str, count: int) -> None:
    """Store *count* tasks that nobody may start."""
    app, nothing = system(url)
    async with app.running(work=False):
        await app.pause(task_type=nothing.task_type)
    await fill(url, count)


async def worked_off(url: str, count: int) -> float:
    """Seconds from the word to begin until *count* tasks have been done."""
    app, nothing = system(url)
    async with app.running(work=False):
        assert await app.count(status=TaskStatus.PENDING) == count, "a node has begun too early"
        start = time.perf_counter()
        await app.resume(task_type=nothing.task_type)
        await settled(app, count, every=LOOK_EVERY)
        return time.perf_counter() - start


def assert_each_ran_once(url: str, count: int) -> None:
    """A rate counts only if nothing was left out or done twice."""
    with connect(url) as connection:
        query = f"SELECT status, attempt, count(*) FROM {task.name} GROUP BY 1, 2"
        found = connection.execute(query.encode()).fetchall()
    assert found == [("completed", 1, count)], found


def least_share(url: str, number: int) -> float:
    """Of the tasks there, what the least busy of *number* nodes ran."""
    with connect(url) as connection:
        query = f"SELECT count(*) FROM {task.name} GROUP BY node"
        found = [ran for (ran,) in connection.execute(query.encode())]
    return min(found) / sum(found) if len(found) == number else 0.0

"""Pure Python on all CPUs: durable tasks in process mode, beside `concurrent.futures.ProcessPoolExecutor`.

A task of ours goes the whole way: it is stored, claimed, run in a child process, and its outcome is stored before it
counts. The executor keeps nothing. Both have as many processes as this one may use CPUs, are warm, and are given all of
their work at once, in turns; a task works for about a tenth of a second.
The executor's processes have sessions of their own, as ours have: Linux may share the CPUs among sessions first.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import trio

from actors import DeclaredTask, ExecutionMode, Settings, TaskSystem
from actors.machine import cpus
from bench.goals import Goal
from bench.service import scratch

ROUNDS = 5
TASKS_PER_CPU = 12
STEPS = 1_000_000
"""Turns of the loop in one task."""
GOALS = {"tasks_per_second": Goal(at_least=0.95, of="executor_tasks_per_second")}


def work(number: int) -> int:
    """About a tenth of a second of arithmetic."""
    for step in range(STEPS):
        number = (number * 31 + step) % 65_521
    return number


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second from the first submit to the last outcome, and what one takes alone: the medians."""
    count = cpus() * max(2, round(TASKS_PER_CPU * scale))
    with scratch() as folder:
        return trio.run(measure, folder / "tasks.db", count)


async def measure(path: Path, count: int) -> dict[str, float]:
    """Let the two take turns."""
    app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_cpu_workers=cpus()))
    task = app.task(name="work", mode=ExecutionMode.PROCESS)(work)
    ours, executors = [], []
    with ProcessPoolExecutor(cpus(), get_context("spawn"), initializer=os.setsid) as executor:
        async with app.running():
            for _ in range(1 + ROUNDS):  # the first warms up
                ours.append(await rate(app, task, count))
                executors.append(await trio.to_thread.run_sync(executor_rate, executor, count))
    alone = statistics.median(_timed(number) for number in range(ROUNDS))
    return {
        "tasks_per_second": statistics.median(ours[1:]),
        "executor_tasks_per_second": statistics.median(executors[1:]),
        "task_alone_seconds": alone,
    }


async def rate(app: TaskSystem, task: DeclaredTask[[int], int], count: int) -> float:
    """Durable tasks a second."""
    start = time.perf_counter()
    tickets = await app.submit_many(task.request(number) for number in range(count))
    async with trio.open_nursery() as nursery:
        for ticket in tickets:
            nursery.start_soon(ticket.result)
    return count / (time.perf_counter() - start)


def executor_rate(executor: ProcessPoolExecutor, count: int) -> float:
    """The executor's calls a second."""
    start = time.perf_counter()
    assert len(list(executor.map(work, range(count)))) == count
    return count / (time.perf_counter() - start)


def _timed(number: int) -> float:
    start = time.perf_counter()
    work(number)
    return time.perf_counter() - start

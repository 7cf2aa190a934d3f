"""Thousands of calls in child processes: nothing leaks, and of those whose process dies, they alone fail.

ACTORS_PROCESS_CALLS says how many; the default fits into a run for each change, 10,000 is the full proof.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
import trio

from actors import ExecutionMode, RetryPolicy, Settings, TaskRequest, TaskSystem
from tests.execution.processes import open_files
from tests.waiting import until
from tests.whole import plain
from tests.whole.table import File

CALLS = int(os.environ.get("ACTORS_PROCESS_CALLS", "2000"))
SLOTS = 2
WARM_UP = 500
CHUNK = 250
GROWTH = 16_000_000
"""Bytes that the resident memory of a process may grow by, however many calls there are: SQLite's caches fill up."""
MORE = 500
"""Objects that the node may have more after them."""
EVERY = 100
LOOKS = 50
"""As many in a row have to find the same."""
FILES = 6
"""Descriptors that a node has for each child."""


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def resident(process: psutil.Process) -> int:
    """Its memory, in bytes."""
    gc.collect()
    return int(process.memory_info().rss)


def is_zombie(child: psutil.Process) -> bool:
    """Whether it has ended, and nobody has taken note of that."""
    try:
        return bool(child.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def running(file: File, calls_per_child: int) -> AsyncIterator[TaskSystem]:
    """A system with two slots for processes; nothing is left of these, nor of its files."""
    settings = Settings(max_cpu_workers=SLOTS, max_tasks_per_child=calls_per_child)
    app, files = TaskSystem(file.url, settings=settings), open_files()
    for handler in (plain.quick, plain.segfaults_now_and_then):
        app.register_handler(handler.__name__, handler, mode=ExecutionMode.PROCESS, retry=RetryPolicy.none())
    async with app.running():
        yield app
    assert psutil.Process().children(recursive=True) == []
    assert open_files() == files


async def at_rest(app: TaskSystem) -> int:
    """Wait until no child is at work, too many, new or dead; how many descriptors this process has beside theirs."""
    node, seen = app.running_node, deque[int](maxlen=LOOKS)

    def nothing_moves() -> bool:
        seen.append(open_files() - FILES * len(children()))
        quiet = not node.running.leased and len(children()) <= SLOTS + 1 and not any(map(is_zombie, children()))
        return quiet and seen.count(seen[0]) == LOOKS

    await until(nothing_moves)
    return seen[-1]


async def call(app: TaskSystem, first: int, last: int) -> None:
    """Run tasks number *first* up to *last*."""
    for start in range(first, last, CHUNK):
        numbers = range(start, min(last, start + CHUNK))
        tickets = await app.submit_many(TaskRequest("quick", {"number": number}) for number in numbers)
        assert [await ticket.result() for ticket in tickets] == [*numbers]


@pytest.mark.timeout(60 + CALLS // 20)
@pytest.mark.parametrize("calls_per_child", [50, 10**9], ids=["children are replaced", "children stay"])
async def test_thousands_of_calls_leave_no_descriptors_zombies_or_memory_behind(
    file: File, calls_per_child: int
) -> None:
    async with running(file, calls_per_child) as app:
        await call(app, 0, WARM_UP)
        files, before, objects = await at_rest(app), resident(psutil.Process()), len(gc.get_objects())
        family = {child: resident(child) for child in children()}
        await call(app, WARM_UP, WARM_UP + CALLS)
        assert await at_rest(app) == files
        grown = resident(psutil.Process()) - before
        more = len(gc.get_objects()) - objects
        grown_in_children = [resident(child) - size for child, size in family.items() if child in children()]
        print(
            f"\n{CALLS} calls: the node grew by {grown:,} bytes and {more} objects, its children by {grown_in_children}"
        )
        assert grown < GROWTH
        assert more < MORE
        if calls_per_child > CALLS:
            assert len(grown_in_children) >= SLOTS
            assert max(grown_in_children) < GROWTH
    file.assert_exact(completed=WARM_UP + CALLS)


@pytest.mark.timeout(60 + CALLS // 10)
async def test_of_thousands_of_calls_only_those_fail_whose_process_dies_of_a_segfault(file: File) -> None:
    async with running(file, 10**9) as app:
        tickets = await app.submit_many(
            TaskRequest("segfaults_now_and_then", {"number": number, "every": EVERY}) for number in range(CALLS)
        )
        with trio.fail_after(50 + CALLS // 10):
            ended = [await ticket.wait() for ticket in tickets]
        await at_rest(app)
        lane = app.metrics().lanes["process"]
        assert (lane.running, lane.free, lane.stuck) == (0, SLOTS, 0)
    failed = [number for number, task in enumerate(ended) if task.error_info is not None]
    assert failed == list(range(EVERY - 1, CALLS, EVERY))
    for number, task in enumerate(ended):
        assert (task.attempt, task.crash_count) == (1, 0)
        if task.error_info is None:
            assert task.result_data == number
        else:
            assert "was killed by signal 11 (SIGSEGV)" in task.error_info.message
    file.assert_exact(completed=CALLS - len(failed), failed=len(failed))

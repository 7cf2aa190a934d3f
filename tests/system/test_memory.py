"""Memory is sampled now and then, and a node that is short of it says so."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked, wait_all_threads_completed

from actors.core.retention import DAY, Retention
from actors.system.memory import MemoryWatch, by_group, used_mb
from actors.system.monitor import Monitor
from tests.system.world import World, alive


class Watched:
    """A node whose memory the test sets, in MB of 1000."""

    def __init__(self) -> None:
        self.world = World()
        self.used = 100.0
        self.samples = 0
        self.rooms_looked_for = 0
        self.relieved: list[float] = []
        self.watch = MemoryWatch(1000, self.world.running, self._relieve, self._sample)
        self.world.running.look_for_room = self._look_for_room

    def _sample(self) -> float:
        self.samples += 1
        return self.used

    def _look_for_room(self) -> None:
        self.rooms_looked_for += 1

    def _relieve(self, excess: float, sizes: Mapping[int, float]) -> None:
        assert sizes[os.getpgrp()] > 1
        self.relieved.append(excess)

    async def short_at(self, used: float) -> bool:
        """Whether the node may start nothing after a sample of *used*."""
        self.used = used
        await self.watch.look()
        return not self.world.running.rooms()


async def test_above_the_mark_nothing_may_start_and_below_it_room_is_looked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = Watched()
    node.world.take(1)
    with caplog.at_level(logging.INFO):
        assert [await node.short_at(used) for used in (790, 850, 900, 760)] == [False, True, True, True]
        assert node.rooms_looked_for == 0
        (warning,) = caplog.records
        assert warning.levelno == logging.WARNING
        assert warning.getMessage() == (
            "this node and its children use 850 MB, more than 80 % of TASK_MEMORY_LIMIT_MB (1000): nothing new"
            " is claimed until they use less than 750 MB"
        )
        assert (warning.__dict__["memory_used_mb"], warning.__dict__["memory_limit_mb"]) == (850, 1000)
        assert not await node.short_at(700)
    assert node.rooms_looked_for == 1
    assert caplog.messages[1:] == ["this node uses 700 MB again, and claims tasks"]


async def test_above_the_limit_itself_as_much_has_to_come_free_as_is_missing() -> None:
    node = Watched()
    for used in (1000, 1100, 1050, 990):
        await node.short_at(used)
    assert node.relieved == [100, 50]


async def test_a_node_that_is_idle_and_still_short_says_once_that_it_will_never_claim(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = Watched()
    for _ in range(3):
        assert await node.short_at(850)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        "nothing runs on this node, and still it uses 850 MB of 1000, so that it will claim nothing;"
        " raise TASK_MEMORY_LIMIT_MB, or start it anew"
    ]


async def test_the_monitor_takes_a_sample_a_second_and_no_more(mock_clock: MockClock) -> None:
    node = Watched()
    world = node.world

    def make() -> Monitor:
        return Monitor(
            world.clock, world.subscribers, world.replies, world.board, Retention(DAY, DAY, DAY), world.storage.handle,
            world.monitor.handle, node.watch,
        )  # fmt: skip

    async def after(seconds: float) -> int:
        mock_clock.jump(seconds)
        for _ in range(2):
            await wait_all_tasks_blocked()
            await wait_all_threads_completed()
        return node.samples

    async with alive("monitor", make):
        assert [await after(seconds) for seconds in (0, 0.5, 0.5, 0.9, 0.1, 5)] == [1, 1, 2, 2, 3, 4]


async def test_without_a_limit_there_is_nothing_to_look_at(autojump_clock: MockClock) -> None:
    world = World()
    monitor = Monitor(
        world.clock, world.subscribers, world.replies, world.board, Retention(DAY, DAY, DAY), world.storage.handle,
        world.monitor.handle,
    )  # fmt: skip
    async with alive("monitor", lambda: monitor):
        await wait_all_tasks_blocked()
        assert monitor.wake_at() > trio.current_time() + 10


def test_children_count_too_each_in_the_process_group_that_it_leads() -> None:
    before = used_mb()
    code = "x = bytearray(b'x') * 100_000_000; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert used_mb() > before + 90
        assert 90 < by_group()[child.pid] < 200
        child.kill()

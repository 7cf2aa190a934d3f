"""Running a system in virtual time until nothing is left that could run."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import attrs
import trio
from trio.testing import MockClock, active_thread_count, wait_all_tasks_blocked, wait_all_threads_completed

from ..app import TaskSystem
from ..core import options
from ..core.errors import InvalidOption
from ..core.task import Task, TaskStatus

if TYPE_CHECKING:
    from ..system.node import Node

DAY: Final = 86_400.0
ROUNDING: Final = 1e-3
"""Seconds by which two ways from the rows' time to trio's may differ."""
SHOWN: Final = 5
"""Tasks of one state that a message lists."""


class NotIdle(AssertionError):
    """The system did not become idle. The message says why, and lists the tasks that run or wait."""


async def run_until_idle(
    app: TaskSystem, *, within: float | None = None, patience: float = DAY, real_seconds: float = 10.0
) -> None:
    """Run until no task can run any more, now or later, without help from outside.

    Retries, delays and tasks of the future are all waited for: the clock is moved from one deadline to the next, and
    stands still while handlers work in threads. Tasks that are paused, or whose type is not declared, wait for help,
    and so do not count.

    Args:
        app: it runs on `sqlite:///:memory:`, under trio's `MockClock`.
        within: the most seconds that the clock is moved; what comes due after that is left as it is. None: no limit.
        patience: seconds of virtual time after which a task without a time limit is held to run for ever, if all
            that time nothing started, ended or was to come.
        real_seconds: the seconds of real time that all of this may take.

    Raises:
        NotIdle: a task runs for ever, or beyond *within*, or each one brings about the next.
        InvalidOption: *app* does not run in virtual time, or only submits.
        NotRunning: it does not run.
    """
    node = app.running_node
    drive = _Drive(node, _clock_of(node), _horizon(node, within), options.seconds("patience", patience))
    with _real_limit(options.seconds("real_seconds", real_seconds)) as scope:
        why = await drive.until_idle()
    if scope.cancelled_caught:
        threads = f", with {count} threads at work" if (count := active_thread_count()) else ""
        why = f"not idle after {real_seconds:g} s of real time{threads}"
    if why is not None:
        raise NotIdle("\n  ".join([why, *await _what_is_left(app)]))


@attrs.define
class _Drive:
    """Moves the clock from deadline to deadline.

    Attributes:
        horizon: epoch seconds beyond which it is not moved.
    """

    node: Node
    clock: MockClock
    horizon: float
    patience: float

    async def until_idle(self) -> str | None:
        """None when the system is idle, or why it will never be."""
        seen, since = None, 0.0
        while True:
            await self._settle()
            outlook, now = await self.node.outlook(), self.node.clock.wall()
            if outlook != seen:
                seen, since = outlook, now
            to_come = outlook.next_due is not None and outlook.next_due <= self.horizon
            if not (outlook.running or outlook.due or to_come):
                return None
            if active_thread_count():
                await self._stand_still()
                continue
            if not to_come and outlook.running == outlook.unlimited and now - since >= self.patience:
                return f"never idle: nothing started or ended in {self.patience:g} s, and nothing is to come"
            if not self._step(now):
                return "not idle within the time that was given"

    async def _settle(self) -> None:
        """Let everything run that can; a threshold of the clock's own is time left to what comes from elsewhere."""
        threshold = self.clock.autojump_threshold
        await wait_all_tasks_blocked(threshold if math.isfinite(threshold) else 0.0)

    async def _stand_still(self) -> None:
        """Wait for the threads in real time, with the clock stopped."""
        threshold = self.clock.autojump_threshold
        if math.isinf(threshold):  # by its owner, or by `StandStill`, which lets it go when the threads have ended
            await wait_all_threads_completed()
            return
        self.clock.autojump_threshold = math.inf
        try:
            await wait_all_threads_completed()
        finally:
            self.clock.autojump_threshold = threshold

    def _step(self, now: float) -> bool:
        """Move the clock to the next deadline, if that is not beyond the horizon."""
        seconds = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if now + seconds > self.horizon + ROUNDING or math.isinf(seconds):
            return False
        self.clock.jump(max(0.0, seconds))
        return True


def _clock_of(node: Node) -> MockClock:
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock):
        raise InvalidOption(
            "run_until_idle() moves the clock, and this is the real one; take pytest-trio's fixture autojump_clock, or"
            " actors.testing.run(app, main)"
        )
    if not node.clock.virtual:
        raise InvalidOption(
            "run_until_idle() needs a database in memory; enter app.running(database_url='sqlite:///:memory:')"
        )
    if not node.work:
        raise InvalidOption("run_until_idle() needs a system that works; this one runs with work=False")
    return clock


def _horizon(node: Node, within: float | None) -> float:
    return math.inf if within is None else node.clock.wall() + options.seconds("within", within, least=0)


@contextmanager
def _real_limit(seconds: float) -> Iterator[trio.CancelScope]:
    """Cancel the block after so much real time, whatever trio's clock says."""
    scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()

    def strike() -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(scope.cancel)

    timer = threading.Timer(seconds, strike)
    timer.daemon = True
    timer.start()
    try:
        with scope:
            yield scope
    finally:
        timer.cancel()


async def _what_is_left(app: TaskSystem) -> list[str]:
    left: list[str] = []
    for status in (TaskStatus.RUNNING, TaskStatus.RETRYING, TaskStatus.PENDING):
        left += [_line(task) for task in await app.list(status=status, order="oldest", limit=SHOWN)]
        if (more := await app.count(status=status) - SHOWN) > 0:
            left.append(f"… and {more} more {status.value}")
    return left


def _line(task: Task) -> str:
    limit = "no time limit" if task.timeout_seconds is None else f"time limit {task.timeout_seconds:g} s"
    times = f"attempt {task.attempt}, {limit}" if task.status is TaskStatus.RUNNING else f"due {task.due_at:%F %T}"
    return f"{task.status.value}: {task.task_type!r} {task.task_id}, {times}"

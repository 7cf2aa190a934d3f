"""Virtual time: trio's clock jumps when nothing can run, and stands still while a thread works."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock, active_thread_count

from ..app import TaskSystem

T = TypeVar("T")

MEMORY: Final = "sqlite:///:memory:"


class StandStill(Instrument):
    """Stops a clock from jumping while a thread works.

    trio's loop cannot see threads: to it, a handler in a thread is a task that waits, so that its clock would jump
    straight to that handler's time limit.
    """

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        self._threshold = clock.autojump_threshold
        self._held = False

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Look again: threads begin and end within a task's step, the loop's own tasks among them."""
        held = active_thread_count() > 0
        if held is not self._held:
            self._held = held
            self._clock.autojump_threshold = math.inf if held else self._threshold


def run_virtually(
    main: Callable[[], Awaitable[T]], clock: Clock | None = None, instruments: Sequence[Instrument] = ()
) -> T:
    """`trio.run` with a clock that jumps, unless *clock* is given."""
    clock = clock or MockClock(autojump_threshold=0)
    watching = [StandStill(clock)] if isinstance(clock, MockClock) else []
    return trio.run(main, clock=clock, instruments=[*instruments, *watching])


def run(app: TaskSystem, main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `main(*args)` while *app* runs, on a new database in memory and in virtual time; what it returns.

    For tests that are plain functions: `run(app, scenario)` stands for `trio.run` with trio's `MockClock`, and for
    `async with app.running(...)` in it.
    """

    async def scenario() -> T:
        async with app.running(database_url=MEMORY):
            return await main(*args)

    return run_virtually(scenario)

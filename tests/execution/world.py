"""Attempts without a database: claimed rows, handlers and what hangs on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import trio

from actors.core.request import Claimed, NewTask, TaskRequest
from actors.core.schedule import Defaults, plain_row
from actors.core.task import Progress
from actors.declare import Declaration, TaskOptions
from actors.execution.attempt import Attempt
from actors.execution.handler import Handler
from actors.execution.hooks import AttemptHooks
from actors.execution.process.pool import Pool
from actors.execution.surroundings import Surroundings

NOW = 1_700_000_000.0


def claimed(seq: int = 1, **values: Any) -> Claimed:
    """A task `work` leased for its first attempt."""
    fields: dict[str, Any] = {
        "seq": seq, "task_id": str(UUID(int=seq)), "task_type": "work", "lane": "coroutine", "mode": "coroutine",
        "priority": 5, "input_data": "{}", "metadata": None, "created_at": NOW, "due_at": NOW, "started_at": NOW,
        "attempt": 1, "retry_count": 0, "crash_count": 0, "crashes_seen": 0, "max_retries": 3,
        "timeout_seconds": None, "soft_timeout_seconds": None, "claimed_as": "pending", "alone": 0,
    }  # fmt: skip
    return Claimed(**(fields | values))


def handler(function: Callable[..., Any], task_type: str = "work", **options: Any) -> Handler:
    """What execution makes of a declared function."""
    return Declaration(task_type, function, TaskOptions(**options)).handler()


def child(request: TaskRequest) -> NewTask:
    """The row of a child."""
    defaults = Defaults(request.task_type, "coroutine", "coroutine", 5, 3, None, None)
    return plain_row(defaults, "{}", NOW, str(UUID(int=99)), 1, 60.0)


class Runs:
    """Makes attempts, and keeps what they report.

    Attributes:
        hooks: none, until a test adds one.
        words: the progress that was reported.
        late: the attempts whose thread ended after nobody waited for it.
        late_end: set by the first of those.
    """

    def __init__(self, threads: int = 4, pool: Pool | None = None) -> None:
        self.pool = pool or Pool({}, 0, 1)
        self.hooks = AttemptHooks()
        self.words: list[Progress] = []
        self.late: list[Attempt] = []
        self.late_end = trio.Event()
        self.limiter = trio.CapacityLimiter(threads)

    def attempt(self, function: Callable[..., Any] | Handler, **values: Any) -> Attempt:
        """An attempt that was not started yet."""
        called = function if isinstance(function, Handler) else handler(function)
        return Attempt(
            claimed(**values), called, self.limiter,
            Surroundings(lambda: NOW, self._report, child, self._ended_late, self.hooks, self.pool),
        )  # fmt: skip

    def _report(self, _: Attempt, progress: Progress) -> None:
        self.words.append(progress)

    def _ended_late(self, attempt: Attempt) -> None:
        self.late.append(attempt)
        self.late_end.set()

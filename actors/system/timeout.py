"""Timeout: stops attempts at their deadlines, and those whose tasks were cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from ..core.stop import StopReason
from ..execution.attempt import Attempt
from ..kernel import Actor, Handle
from .deadlines import Stage
from .messages import CancelRunning, LookAtDeadlines, MonitorMessage, SoftTimedOut, Stuck, TimeoutMessage
from .running import Running

STUCK_AFTER: Final = 0.4
"""Seconds after its hard stage at which an attempt that still runs is recorded without its consent."""


class Timeout(Actor[TimeoutMessage]):
    """Stops attempts through the object they share; no message goes up.

    Args:
        grace: seconds from the soft to the hard stage of a cancel.
    """

    def __init__(
        self, running: Running, grace: float, monitor: Handle[MonitorMessage], me: Handle[TimeoutMessage]
    ) -> None:
        self._running = running
        self._deadlines = running.deadlines
        self._grace = grace
        self._monitor = monitor
        self._me = me

    async def started(self) -> None:
        self._deadlines.look = lambda: self._me.hint(LookAtDeadlines())

    def wake_at(self) -> float:
        return self._deadlines.next()

    async def receive(self, batch: Sequence[TimeoutMessage]) -> None:
        for message in batch:
            match message:
                case CancelRunning(pairs):
                    self._cancel(frozenset(pairs))
                case LookAtDeadlines():
                    pass  # the next `wake_at` does

    async def wake(self) -> None:
        for _, _, stage, reason, attempt in self._deadlines.due(trio.current_time()):
            self._reach(stage, reason, attempt)

    def _cancel(self, pairs: frozenset[tuple[int, int]]) -> None:
        unstarted = self._running.unstarted
        self._running.cancelled.update(
            seq for seq, number in pairs if seq in unstarted and unstarted[seq].attempt == number
        )
        for attempt in self._running.attempts():
            if (attempt.task.seq, attempt.task.attempt) in pairs and attempt.stopping is not StopReason.CANCEL:
                attempt.stop(StopReason.CANCEL)
                self._deadlines.add(trio.current_time() + self._grace, Stage.HARD, StopReason.CANCEL, attempt)

    def _reach(self, stage: Stage, reason: StopReason, attempt: Attempt) -> None:
        match stage:
            case Stage.SOFT:
                attempt.stop(reason)
                self._monitor.hint(SoftTimedOut(attempt))
            case Stage.HARD:
                attempt.force(reason)
                self._deadlines.add(trio.current_time() + STUCK_AFTER, Stage.STUCK, reason, attempt)
            case Stage.STUCK:
                self._running.leave_behind(attempt)
                self._monitor.hint(Stuck(attempt))

"""One heap of soft and hard deadlines for all that runs on this node. Workers fill it; Timeout waits for it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Final

from ..core.stop import StopReason
from ..execution.attempt import Attempt

SPARE: Final = 1000
"""Entries of ended attempts that the heap may hold beside three of each that runs, before it is made anew."""
FEW: Final = 16
"""One in so many entries: when more than that are taken out at once, it is cheaper to make the heap anew."""


class Stage(IntEnum):
    """What is done at a deadline."""

    SOFT = 0
    HARD = 1
    STUCK = 2


Deadline = tuple[float, int, Stage, StopReason, Attempt]


class Deadlines:
    """Deadlines on trio's clock. It is told of attempts that start, and forgets by itself those that have ended.

    Attributes:
        look: called when a deadline comes before the one that was last waited for. Most do not: the attempts before
            them had the same limits. So starting an attempt costs no message.
    """

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._order = itertools.count()
        self._awaited = math.inf
        self.look: Callable[[], object] = lambda: None

    def watch(self, attempts: Sequence[Attempt]) -> None:
        """Keep the limits of *attempts*."""
        for attempt in attempts:
            soft, hard = attempt.task.soft_timeout_seconds, attempt.task.timeout_seconds
            if soft is not None:
                self.add(attempt.started + soft, Stage.SOFT, StopReason.SOFT_TIMEOUT, attempt)
            if hard is not None:
                self.add(attempt.started + hard, Stage.HARD, StopReason.SOFT_TIMEOUT, attempt)

    def add(self, when: float, stage: Stage, reason: StopReason, attempt: Attempt) -> None:
        """Do *stage* at *when*."""
        heapq.heappush(self._heap, (when, next(self._order), stage, reason, attempt))
        if when < self._awaited:
            self._awaited = when
            self.look()

    def next(self) -> float:
        """The first deadline of an attempt that runs; it counts as waited for from now on."""
        few = len(self._heap) // FEW
        while self._heap and self._heap[0][4].over:
            if few == 0:
                self._drop_ended()  # taking out thousands, one by one, would stop the event loop for too long
                break
            heapq.heappop(self._heap)
            few -= 1
        self._awaited = self._heap[0][0] if self._heap else math.inf
        return self._awaited

    def due(self, now: float) -> Iterator[Deadline]:
        """Take out the deadlines that have come."""
        while self._heap and self._heap[0][0] <= now:
            deadline = heapq.heappop(self._heap)
            _, _, stage, reason, attempt = deadline
            if attempt.over:
                continue
            if (later := _really_due(deadline, now)) > now:
                self.add(later, stage, reason, attempt)
            else:
                yield deadline

    def tidy(self, running: int) -> None:
        """Drop the entries of ended attempts when they are many beside *running*."""
        if len(self._heap) > 3 * running + SPARE:
            self._drop_ended()

    def _drop_ended(self) -> None:
        self._heap = [deadline for deadline in self._heap if not deadline[4].over]
        heapq.heapify(self._heap)


def _really_due(deadline: Deadline, now: float) -> float:
    """When *deadline* comes: the limits of an attempt that waits behind others in a child count from its begin."""
    when, _, stage, reason, attempt = deadline
    if reason is not StopReason.SOFT_TIMEOUT or stage is Stage.STUCK:
        return when
    limit = attempt.task.soft_timeout_seconds if stage is Stage.SOFT else attempt.task.timeout_seconds
    assert limit is not None, "it was watched for"
    return (now if attempt.waits else attempt.started) + limit

"""Which children are too heavy: one has grown above its share of the memory, or the whole node is above its limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

import attrs
import psutil

from ...core.memory import share
from .child_process import ChildProcess

logger = logging.getLogger("actors.execution")

MB: Final = 1e6
LOOK_EVERY: Final = 0.05
"""Seconds for which a child is not looked at again: that takes as long as a third of a short call."""
GROWTH: Final = 2.0
"""A child may weigh so many times what it did when it was new, whatever its share: another one would be no lighter."""


@attrs.define
class _Weight:
    """One child's, when it is looked at."""

    process: psutil.Process
    most: float
    look_at: float = 0.0

    def now(self) -> float:
        """Resident memory, in MB."""
        return float(self.process.memory_info().rss / MB)


class Weights:
    """Of the children of one node.

    Args:
        limit: MB that the node may use with all of them; None: nothing is looked at.
        slots: how many may be at work.
    """

    def __init__(self, limit: float | None, slots: int) -> None:
        self._limit = limit
        self._slots = slots
        self._known: WeakKeyDictionary[ChildProcess, _Weight] = WeakKeyDictionary()
        self._condemned: WeakSet[ChildProcess] = WeakSet()

    def begin(self, child: ChildProcess) -> None:
        """It is ready for its first call."""
        if self._limit is not None:
            with suppress(psutil.Error):  # it has died
                weight = _Weight(psutil.Process(child.pid), share(self._limit, self._slots))
                weight.most = max(weight.most, GROWTH * weight.now())
                self._known[child] = weight

    def is_too_heavy(self, child: ChildProcess) -> bool:
        """Whether it should get no more calls; to be asked after each. It stays so: memory seldom goes back."""
        if self._limit is None:
            return False
        if child in self._condemned:
            return True
        weight, moment = self._known.get(child), time.monotonic()
        if weight is None or moment < weight.look_at:
            return False
        weight.look_at = moment + LOOK_EVERY
        with suppress(psutil.Error):
            if (now := weight.now()) > weight.most:
                self._condemned.add(child)
                self._tell(child, now, f"more than one of {self._slots} processes may ({weight.most:.0f} MB)")
                return True
        return False

    def condemn(
        self, excess: float, sizes: Mapping[int, float], idle: Collection[ChildProcess]
    ) -> Iterator[ChildProcess]:
        """Choose those that have to go for *excess* MB: the largest of the *idle* first, then of those at work.

        What those at work hold comes free when their calls end, so it is counted on when no idle one is left.

        Args:
            sizes: by pid, in MB, of what goes with each; one that is not among them is dead.
        """
        alive = {child: sizes[child.pid] for child in list(self._known) if child.pid in sizes}
        for child in sorted(alive, key=lambda child: (*self._distance(child, idle), -alive[child])):
            if excess > 0 and not child.is_leaving and child not in self._condemned:
                self._condemned.add(child)
                self._tell(child, alive[child], "and this node more than it may")
                yield child
            excess -= alive[child]

    def _distance(self, child: ChildProcess, idle: Collection[ChildProcess]) -> tuple[bool, bool, bool]:
        """How far it is from its end, as things stand."""
        return not child.is_leaving, child not in idle, child not in self._condemned

    def _tell(self, child: ChildProcess, used: float, why: str) -> None:
        logger.info(
            "process %d uses %.0f MB, %s: it is retired (TASK_MEMORY_LIMIT_MB is %g)",
            child.pid, used, why, self._limit, extra={"memory_used_mb": used, "memory_limit_mb": self._limit},
        )  # fmt: skip

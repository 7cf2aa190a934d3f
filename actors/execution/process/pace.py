"""How long handlers in processes take, and how many calls of them make up one slot's work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

BUDGET: Final = 0.016
"""Seconds of work that may lie before a child at once."""
MOST: Final = 32
"""Calls that may, however short they are."""
_WEIGHT: Final = 0.2
"""How much the latest run counts beside those before it: a type that has become slow is noticed at once."""


class Pace:
    """What was measured in the child processes of one node.

    Args:
        types: the task types that are called in processes.

    Attributes:
        depths: task type → how many of its calls share a slot, for the small types, where these are 2 to `MOST`. They
            are powers of two, so that parts of slots add up to whole ones, and figures about to change do not flap.
    """

    def __init__(self, types: Iterable[str] = ()) -> None:
        self.types = frozenset(types)
        self.depths: dict[str, int] = {}
        self._means: dict[str, float] = {}

    def saw(self, task_type: str, seconds: float) -> None:
        """A call of *task_type* took so long, or has taken so long already."""
        before = self._means.get(task_type)
        mean = seconds if before is None else before + _WEIGHT * (seconds - before)
        self._means[task_type] = mean
        depth = depth_of(mean)
        if depth > 1:
            self.depths[task_type] = depth
        else:
            self.depths.pop(task_type, None)

    def depth(self, task_type: str) -> int:
        """How many calls of *task_type* share a slot; 1 for one that was never measured."""
        return self.depths.get(task_type, 1)

    def slots_of(self, counts: Mapping[str, int]) -> int:
        """How many slots calls of these types fill, the last one perhaps in part."""
        return -(-sum(count * (MOST // self.depth(task_type)) for task_type, count in counts.items()) // MOST)


def depth_of(seconds: float) -> int:
    """The largest power of two, up to `MOST`, of calls that fit into the budget when each takes *seconds*."""
    if seconds * MOST <= BUDGET:
        return MOST
    return max(1, 1 << math.floor(math.log2(BUDGET / seconds))) if seconds <= BUDGET else 1

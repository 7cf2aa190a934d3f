"""When a node is short of memory, and what one of its processes may have."""

from __future__ import annotations

from typing import Final

SOFT: Final = 0.8
"""The share of the limit above which nothing new is claimed."""
RESUME: Final = 0.75
"""The share below which claims go on. What lies between the two keeps a node from wavering."""


def share(limit: float, slots: int) -> float:
    """What one of *slots* child processes may use of *limit* when all are at work; the node itself counts as one."""
    return limit / (slots + 1)


def is_short(used: float, limit: float, *, before: bool, idle: bool) -> bool:
    """Whether a node that uses *used* of *limit* (of any one unit) is short of memory.

    An idle node has nothing left to wait for, so that it goes on as soon as it is not above the mark: memory that was
    freed does not always go back to the system.

    Args:
        before: what the answer was until now.
        idle: no handler runs.
    """
    return used > limit * (RESUME if before and not idle else SOFT)

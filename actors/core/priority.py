"""The order in which tasks of a lane are claimed."""

from __future__ import annotations


def rank(due: float, priority: int, aging: float) -> float:
    """The place of a task in its lane: the lowest rank is claimed first, equal ranks in order of submission.

    One step of *priority* (0 to 100) is worth *aging* seconds of waiting. So with 60 s, HIGH (10) overtakes NORMAL (5)
    tasks that are up to five minutes older, and nothing starves: a task waits behind at most what falls due within
    priority × aging seconds after it.

    *due* is in epoch seconds, and so is the rank. It does not change while the task waits, so it can be stored and
    indexed.
    """
    return due - priority * aging

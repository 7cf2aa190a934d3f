"""The ports through which time, chance and identity come in, so that a whole system can be replayed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

import trio

from ..core.identity import uuid7

LOOK_EVERY: Final = 300.0
"""Seconds until the database is asked for due tasks and cancels though no hint came: the price of a lost hint."""
VIRTUAL_LOOK_EVERY: Final = 86_400.0
"""The same in virtual time: each look is a step of the clock, and no other process can have written."""


class Clock:
    """Wall time that never steps back while the process lives, and trio's own time for deadlines.

    The wall clock is read, but a step back is not followed: time goes on at the pace of trio's clock until the
    wall has caught up. A step forward (a suspend, a correction) is followed at once, so that tasks come due.
    Any thread may ask for the wall time.

    Args:
        read: the wall clock, epoch seconds; None derives wall time from trio's clock alone, for virtual time.

    Attributes:
        virtual: whether wall time is trio's, so that whoever moves that clock moves the rows' time too.
        look_every: seconds until the database is looked at though no hint came.
    """

    def __init__(self, read: Callable[[], float] | None = time.time) -> None:
        self._read = read
        self.virtual = read is None
        self.look_every = VIRTUAL_LOOK_EVERY if self.virtual else LOOK_EVERY
        self._trio = trio.lowlevel.current_clock()
        wall = time.time() if read is None else read()
        # One value, so that a thread never pairs the one half with another thread's other half.
        self._then = (wall, self._trio.current_time())

    def wall(self) -> float:
        """Epoch seconds, for rows."""
        now = self._trio.current_time()
        wall, then = self._then
        expected = wall + (now - then)
        if self._read is None:
            return expected
        wall = max(expected, self._read())
        self._then = (wall, now)
        return wall

    def until(self, epoch_seconds: float) -> float:
        """The moment on trio's clock at which the wall will show *epoch_seconds*."""
        return trio.current_time() + max(0.0, epoch_seconds - self.wall())


class Chance:
    """Random numbers and identities, from one seedable source."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self.draw: Callable[[], float] = self._random.random

    def nonce(self) -> int:
        """63 random bits."""
        return self._random.getrandbits(63)

    def task_id(self, wall: float) -> str:
        """A new UUIDv7 for a task made at *wall* (epoch seconds)."""
        return uuid7(int(wall * 1000), self._random.getrandbits(74))

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
FALLING_BACK: Final = 0.1
"""The part of its pace that wall time gives up while it is ahead of a database server's clock."""
VIRTUAL_LOOK_EVERY: Final = 86_400.0
"""The same in virtual time: each look is a step of the clock, and no other process can have written."""


class Clock:
    """Wall time that never steps back while the process lives, and trio's own time for deadlines.

    The wall clock is read, but a step back is not followed: time goes on at the pace of trio's clock until the
    wall has caught up. A step forward (a suspend, a correction) is followed at once, so that tasks come due.
    Any thread may ask for the wall time.

    Args:
        read: the wall clock, epoch seconds; None derives wall time from trio's clock alone, for virtual time.
        falling_back: the part of its pace, from 0 to 1, that is given up while it is ahead of *read*, until it is not.

    Attributes:
        virtual: whether wall time is trio's, so that whoever moves that clock moves the rows' time too.
        look_every: seconds until the database is looked at though no hint came.
    """

    def __init__(self, read: Callable[[], float] | None = time.time, falling_back: float = 0.0) -> None:
        self._read = read
        self._pace = 1.0 - falling_back
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
        if self._read is None:
            return wall + (now - then)
        wall = max(wall + self._pace * (now - then), self._read())
        self._then = (wall, now)
        return wall

    def until(self, epoch_seconds: float) -> float:
        """The moment on trio's clock at which the wall will show *epoch_seconds*."""
        return trio.current_time() + max(0.0, epoch_seconds - self.wall())


class ServerTime:
    """The clock of a database server, which is that of all its nodes, however wrong their machines' clocks are.

    It is told by this machine's monotonic clock since the last look at the server's. A look counts the way back of the
    answer as nothing: so it is behind by that time, and never ahead.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead = 0.0

    def look(self, server: float) -> None:
        """The server has just said that it is *server*, epoch seconds. To be called again and again: clocks drift."""
        self._ahead = server - self._monotonic()

    def read(self) -> float:
        """Epoch seconds, for any thread. Looks differ, so that it may step back a little, which `Clock` does not."""
        return self._monotonic() + self._ahead


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

"""A retry budget: a storm of retries is spread over time, and none is dropped."""

from __future__ import annotations

import math

import attrs

from .errors import InvalidOption


@attrs.define
class Budget:
    """A token bucket that goes into debt; one for each task type of a node.

    A retry takes a token. When none is left, the debt tells how long that retry waits on top of its own delay, so that
    retries beyond the burst come at the refill rate: the thousand that fail in one instant still come back, in a line.

    The defaults let 1,000 retries through at once, which is a full coroutine lane, and then 100 a second: about a
    hundredth of what a node can run, so that new work is hardly slowed by a storm.

    Attributes:
        capacity: retries that may come at once, 1 or more.
        refill_per_second: retries a second after that, above 0.

    Raises:
        InvalidOption: one of them is out of its range.
    """

    capacity: float = 1000.0
    refill_per_second: float = 100.0
    _tokens: float = attrs.field(init=False)
    _since: float = attrs.field(init=False, default=-math.inf)

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.capacity < math.inf:
            raise InvalidOption(f"capacity is {self.capacity!r}; it should be 1 or more retries")
        if not 0 < self.refill_per_second < math.inf:
            raise InvalidOption(f"refill_per_second is {self.refill_per_second!r}; it should be above 0")
        self._tokens = self.capacity

    def spend(self, now: float) -> float:
        """Take the token of one retry; the extra seconds that it waits, 0 while there are tokens.

        *now* is in seconds of any clock. A clock that steps back refills nothing.
        """
        passed = max(0.0, now - self._since)
        self._tokens = min(self.capacity, self._tokens + passed * self.refill_per_second) - 1
        self._since = now
        return max(0.0, -self._tokens / self.refill_per_second)

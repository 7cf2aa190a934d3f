"""When a crashed child starts again, and when its tree gives up: arithmetic, no clock."""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """How many restarts a tree allows, and how long it waits before each.

    Raises:
        ValueError: a count or a time is negative, or `multiplier` below 1.
    """

    restarts: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    """Restarts of all children together that may happen `within`; one more, and the tree fails. 0: none."""
    within: float = attrs.field(default=10.0, validator=attrs.validators.ge(0))
    """Seconds that a crash is remembered. A child that is quiet for as long starts again with the first delay."""
    first_delay: float = attrs.field(default=0.05, validator=attrs.validators.ge(0))
    """Seconds before a child's first restart."""
    multiplier: float = attrs.field(default=2.0, validator=attrs.validators.ge(1))
    """What each further crash of the same child does to its delay."""
    most_delay: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    """Seconds; no delay is longer."""


DEFAULT_LIMITS = Limits()


@attrs.frozen
class Crash:
    """The child *name* crashed at the time *at*, in seconds on any steady scale."""

    name: str
    at: float


@attrs.frozen
class History:
    """The crashes of one tree that still count, oldest first."""

    limits: Limits
    crashes: tuple[Crash, ...] = ()

    def crashed(self, name: str, now: float) -> History:
        """This history after one more crash, and without those that are `limits.within` old or older."""
        recent = (crash for crash in self.crashes if now - crash.at < self.limits.within)
        return attrs.evolve(self, crashes=(*recent, Crash(name, now)))

    def delay(self) -> float | None:
        """Seconds from the last crash until that child starts again; None: give up."""
        if len(self.crashes) > self.limits.restarts:
            return None
        delay = self.limits.first_delay
        for _ in range(self._crashes_of_the_last() - 1):
            delay *= self.limits.multiplier
        return min(delay, self.limits.most_delay)

    def _crashes_of_the_last(self) -> int:
        return sum(crash.name == self.crashes[-1].name for crash in self.crashes)

"""When a failed attempt is tried again: the arithmetic."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable

import attrs

from . import options
from .errors import InvalidOption
from .remote import RemoteError


class RetryStrategy(enum.Enum):
    """How the delay grows from one retry to the next."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"
    CUSTOM = "custom"


Errors = tuple[type[BaseException], ...]


def _count(_: RetryPolicy, field: attrs.Attribute[int], value: object) -> None:
    options.retries(value)


def _seconds(_: RetryPolicy, field: attrs.Attribute[float], value: object) -> None:
    options.seconds(field.name, value, least=0)


def _multiplier(_: RetryPolicy, field: attrs.Attribute[float], value: float) -> None:
    if not _is_number(value) or value < 1:
        raise InvalidOption(f"{field.name} is {value!r}; it should be a number, 1 or more")


def _bool(_: RetryPolicy, field: attrs.Attribute[bool], value: bool) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(f"{field.name} is {value!r}; it should be True or False")


def _strategy(_: RetryPolicy, field: attrs.Attribute[RetryStrategy], value: RetryStrategy) -> None:
    if not isinstance(value, RetryStrategy):
        raise InvalidOption(f"{field.name} is {value!r}; it should be a RetryStrategy")


def _errors(_: RetryPolicy, field: attrs.Attribute[Errors], value: tuple[object, ...]) -> None:
    if not all(isinstance(error, type) and issubclass(error, BaseException) for error in value):
        raise InvalidOption(f"{field.name} is {value!r}; it should be a tuple of exception classes")


def _classes(value: Errors | type[BaseException]) -> Errors:
    return (value,) if isinstance(value, type) else tuple(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Which failures are tried again, how often and when.

    Attributes:
        max_retries: retries after the first attempt, 0 to a million.
        strategy: how the delay grows.
        base_delay: seconds before the first retry, 0 to 100 years.
        max_delay: seconds that no delay exceeds, likewise.
        multiplier: growth per retry of EXPONENTIAL, 1 or more.
        jitter: take off up to half, so that tasks that failed together do not return together.
        retry_on: classes of errors that are tried again.
        never_on: classes of errors that are not; these win.
        retry_on_timeout: whether a timeout is tried again.
        delay_for: for CUSTOM alone: the number of the retry (1, 2, …) → seconds.

    Raises:
        InvalidOption: a value is out of its range, or *delay_for* and CUSTOM do not come together.
    """

    max_retries: int = attrs.field(default=3, validator=_count)
    strategy: RetryStrategy = attrs.field(default=RetryStrategy.EXPONENTIAL, validator=_strategy)
    base_delay: float = attrs.field(default=1.0, validator=_seconds)
    max_delay: float = attrs.field(default=60.0, validator=_seconds)
    multiplier: float = attrs.field(default=2.0, validator=_multiplier)
    jitter: bool = attrs.field(default=True, validator=_bool)
    retry_on: Errors = attrs.field(default=(Exception,), converter=_classes, validator=_errors)
    never_on: Errors = attrs.field(default=(), converter=_classes, validator=_errors)
    retry_on_timeout: bool = attrs.field(default=True, validator=_bool)
    delay_for: Callable[[int], float] | None = None

    def __attrs_post_init__(self) -> None:
        if (self.strategy is RetryStrategy.CUSTOM) != (self.delay_for is not None):
            raise InvalidOption("strategy CUSTOM and delay_for come together: give both or neither")
        if self.delay_for is not None and not callable(self.delay_for):
            raise InvalidOption(f"delay_for is {self.delay_for!r}; it should be a function: retry number → seconds")

    @classmethod
    def network(cls) -> RetryPolicy:
        """For calls to services that are down for a while: five retries, from 1 s doubling to a minute, with jitter."""
        return cls(max_retries=5)

    @classmethod
    def cpu(cls) -> RetryPolicy:
        """For computations: they seldom fail by chance, so one retry after 5 s, and none when the time ran out."""
        return cls(max_retries=1, strategy=RetryStrategy.FIXED, base_delay=5.0, retry_on_timeout=False)

    @classmethod
    def none(cls) -> RetryPolicy:
        """No retry at all, also not after a timeout."""
        return cls(max_retries=0, retry_on_timeout=False)

    def delay(self, retry: int, chance: float) -> float:
        """Seconds to wait before retry number *retry* (1, 2, …): from 0 to `max_delay`.

        With jitter up to half is taken off. *chance* is in [0, 1); the caller draws it.

        Raises:
            InvalidOption: `delay_for` gave something else than a finite number, 0 or more.
        """
        whole = float(min(self._growth(retry), self.max_delay))
        return whole * (1 - chance / 2) if self.jitter else whole

    def takes(self, error: BaseException) -> bool:
        """Whether *error* is tried again, while retries are left."""
        if isinstance(error, RemoteError):
            return error.is_a(self.retry_on) and not error.is_a(self.never_on)
        return isinstance(error, self.retry_on) and not isinstance(error, self.never_on)

    def _growth(self, retry: int) -> float:
        if self.delay_for is not None:
            return _checked(self.delay_for(retry), retry)
        if self.strategy is RetryStrategy.FIXED:
            return self.base_delay
        if self.strategy is RetryStrategy.LINEAR:
            return self.base_delay * retry
        try:
            return self.base_delay * float(self.multiplier) ** (retry - 1)
        except OverflowError:
            return self.max_delay if self.base_delay else 0.0


def _checked(seconds: float, retry: int) -> float:
    if not _is_number(seconds) or seconds < 0:
        raise InvalidOption(f"delay_for({retry}) gave {seconds!r}; it should give seconds, 0 or more")
    return seconds

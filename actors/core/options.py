"""What options and requests may hold; each fault is one line that names the option, the value and what would do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .errors import InvalidOption
from .task import EARLIEST, LATEST

LONGEST_NAME: Final = 200
LONGEST_SECONDS: Final = 100 * 365.25 * 24 * 3600
"""A hundred years: far enough for anyone, and no sum of it with a time of today leaves what a datetime can hold."""
MOST_RETRIES: Final = 1_000_000


def seconds(name: str, value: object, *, least: float | None = None) -> float:
    """A number of seconds, above 0, or from *least* on, and at most `LONGEST_SECONDS`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_time(value, least):
        bound = "more than 0" if least is None else f"{least:g} or more"
        raise InvalidOption(f"{name} is {value!r}; it should be a number of seconds, {bound}")
    if value > LONGEST_SECONDS:
        raise InvalidOption(f"{name} is {value!r:.80}; it should be at most 100 years, {LONGEST_SECONDS:.0f} seconds")
    return float(value)


def _is_time(value: float, least: float | None) -> bool:
    return value < math.inf and (value > 0 if least is None else value >= least)


def limit(name: str, value: object) -> float | None:
    """A time limit in seconds; None or infinity for no limit."""
    return None if value is None or value == math.inf else seconds(name, value)


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """An integer from *least* to *most*."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most):
        return int(value)
    bounds = f"from {least} on" if most is None else f"from {least} to {most}"
    raise InvalidOption(f"{name} is {value!r}; it should be a whole number {bounds}")


def retries(value: object) -> int:
    """How often a task is tried again: 0 to `MOST_RETRIES`."""
    return whole("max_retries", value, 0, MOST_RETRIES)


def priority(value: object) -> int:
    """0–100."""
    return whole("priority", value, 0, 100)


def word(name: str, value: object) -> str:
    """A name that both databases and every terminal keep as it is: 1–200 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable():
        return value
    raise InvalidOption(f"{name} is {value!r:.80}; it should be text of 1 to {LONGEST_NAME} printable characters")


def sought(name: str, value: object) -> str | None:
    """Text to look for, or None: whatever a row may hold, and so nothing that a query could not carry."""
    if value is None or (isinstance(value, str) and value == value.encode(errors="ignore").decode().replace("\0", "")):
        return value
    raise InvalidOption(f"{name} is {value!r:.80}; it should be text without NUL and lone surrogates")


def epoch(name: str, value: object) -> float:
    """A datetime of the years 1970 to 9000 as epoch seconds; a naive one is taken as UTC."""
    if not isinstance(value, datetime):
        raise InvalidOption(f"{name} is {value!r}; it should be a datetime, such as datetime.now(UTC)")
    seconds = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    if not EARLIEST <= seconds <= LATEST:
        raise InvalidOption(f"{name} is {value}; it should be in the years 1970 to 9000, or None for no such limit")
    return seconds


def span(name: str, value: object) -> float:
    """A timedelta or a number of seconds, 0 or more."""
    return seconds(name, value.total_seconds() if isinstance(value, timedelta) else value, least=0)


def soft_below_hard(soft: float | None, hard: float | None) -> None:
    """Refuse a soft limit that would never be reached."""
    if soft is not None and hard is not None and soft >= hard:
        raise InvalidOption(f"soft_timeout is {soft:g} s, which is not below the timeout of {hard:g} s")


def mapping(name: str, value: object, what: str = "JSON values") -> Mapping[str, Any]:
    """A mapping, such as the metadata."""
    if isinstance(value, Mapping):
        return value
    raise InvalidOption(f"{name} is {value!r:.80}; it should be a mapping of {what}")

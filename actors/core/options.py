"""What options and requests may hold; each fault is one line that names the option, the value and what would do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .errors import InvalidOption

LONGEST_NAME = 200


def seconds(name: str, value: object, *, least: float | None = None) -> float:
    """A finite number of seconds, above 0, or from *least* on."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if good and (value > 0 if least is None else value >= least):  # type: ignore[operator]  # `good` has checked its type
        return float(value)  # type: ignore[arg-type]  # likewise
    bound = "more than 0" if least is None else f"{least:g} or more"
    raise InvalidOption(f"{name} is {value!r}; it should be a number of seconds, {bound}")


def limit(name: str, value: object) -> float | None:
    """A time limit in seconds; None or infinity for no limit."""
    return None if value is None or value == math.inf else seconds(name, value)


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """An integer from *least* to *most*."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most):
        return int(value)
    bounds = f"from {least} on" if most is None else f"from {least} to {most}"
    raise InvalidOption(f"{name} is {value!r}; it should be a whole number {bounds}")


def priority(value: object) -> int:
    """0–100."""
    return whole("priority", value, 0, 100)


def word(name: str, value: object) -> str:
    """A name that both databases and every terminal keep as it is: 1–200 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable():
        return value
    raise InvalidOption(f"{name} is {value!r:.80}; it should be text of 1 to {LONGEST_NAME} printable characters")


def epoch(name: str, value: object) -> float:
    """A datetime as epoch seconds; a naive one is taken as UTC."""
    if not isinstance(value, datetime):
        raise InvalidOption(f"{name} is {value!r}; it should be a datetime, such as datetime.now(UTC)")
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()


def span(name: str, value: object) -> float:
    """A timedelta or a number of seconds, 0 or more."""
    return seconds(name, value.total_seconds() if isinstance(value, timedelta) else value, least=0)


def soft_below_hard(soft: float | None, hard: float | None) -> None:
    """Refuse a soft limit that would never be reached."""
    if soft is not None and hard is not None and soft >= hard:
        raise InvalidOption(f"soft_timeout is {soft:g} s, which is not below the timeout of {hard:g} s")


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """A mapping, for the metadata."""
    if isinstance(value, Mapping):
        return value
    raise InvalidOption(f"{name} is {value!r:.80}; it should be a mapping of JSON values")

"""Times as people read them."""

from __future__ import annotations

from datetime import datetime


def span(seconds: float) -> str:
    """A duration in whole units, the largest of which there are two: `42 s`, `119 s`, `5 m`, `3 h`, `12 d`."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def age(then: datetime, now: datetime) -> str:
    """How long ago *then* was; nothing is younger than 0 s, whatever the clocks say."""
    return span(max(0.0, (now - then).total_seconds()))


def clock(time: datetime | None) -> str:
    """A time to the millisecond, UTC."""
    return "–" if time is None else f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d} UTC"

"""Random numbers within the bounds of a schema."""

from __future__ import annotations

import math
from random import Random
from typing import Any, Literal

from actors.demo.errors import NoSample

Amount = Literal["least", "most", "any"]

_REACH = 1000  # how far numbers go where the schema leaves an end open


def draw_integer(schema: dict[str, Any], random: Random, amount: Amount) -> int:
    """An integer for *schema*: the smallest one, the largest one, or any.

    Raises:
        NoSample: there is none within the bounds.
    """
    step = schema.get("multipleOf", 1)
    step = int(step) if float(step).is_integer() else 1
    low, high = _bounds(schema, apart=1)
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:
        raise NoSample(f"there is no integer from {low:g} to {high:g}")
    return step * {"least": first, "most": last}.get(amount, random.randint(first, last))


def draw_number(schema: dict[str, Any], random: Random) -> float:
    """A number for *schema*; with two digits after the point where there is room for that.

    Raises:
        NoSample: no multiple of what the schema asks for is within the bounds.
    """
    step = schema.get("multipleOf")
    if step is None:
        low, high = _bounds(schema, apart=0.01)
        drawn = random.uniform(low, high)
        return round(drawn, 2) if high - low > 1 else drawn
    low, high = _bounds(schema, apart=step)
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:
        raise NoSample(f"there is no multiple of {step} from {low:g} to {high:g}")
    return float(step * random.randint(first, last))


def _bounds(schema: dict[str, Any], *, apart: float) -> tuple[float, float]:
    """The smallest and the largest number to draw, which keep *apart* from a bound that is exclusive."""
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + apart)
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - apart)
    if math.isinf(low):
        low = min(1.0, high - _REACH) if math.isfinite(high) else 1
    return low, low + _REACH if math.isinf(high) else high

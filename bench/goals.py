"""What a figure should reach."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Goal:
    """A bound on a figure, or on its ratio to another figure of the same run; without a bound the ratio is only told.

    Attributes:
        at_least: the figure (or its ratio) has to be this large.
        at_most: the figure (or its ratio) has to be this small.
        of: the name of the figure to divide by; None bounds the figure itself.
    """

    at_least: float | None = None
    at_most: float | None = None
    of: str | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything to be reached."""
        return self.at_least is not None or self.at_most is not None

    def ratio(self, value: float, figures: Mapping[str, float]) -> float | None:
        """How many times `of` the *value* is, or None when the figure itself is bounded."""
        return None if self.of is None else value / figures[self.of]

    def reached(self, value: float, figures: Mapping[str, float]) -> bool:
        """Whether *value* keeps every bound."""
        ratio = self.ratio(value, figures)
        judged = value if ratio is None else ratio
        return (self.at_least is None or judged >= self.at_least) and (self.at_most is None or judged <= self.at_most)

    def __str__(self) -> str:
        bounds = [f"≥ {self.at_least:g}"] if self.at_least is not None else []
        bounds += [f"≤ {self.at_most:g}"] if self.at_most is not None else []
        if not bounds:
            return f"of {self.of}"
        return " and ".join(bounds) + (f" × {self.of}" if self.of else "")

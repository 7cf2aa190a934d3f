"""The results, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from bench.goals import Goal
from bench.runner import Result

HEADINGS = ("workload", "figure", "value", "unit", "ratio", "goal", "reached")
SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
UNITS = {"us": "µs", "ms": "ms", "kb": "kB", "mb": "MB", "percent": "%"}


def table(results: Iterable[Result], *, judged: bool) -> str:
    """One line a figure, in columns. Goals that are not *judged* (a smoke run) show no verdict, nor do bare ratios."""
    rows = [HEADINGS, *(row for result in results for row in _rows(result, judged=judged))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rows(result: Result, *, judged: bool) -> Iterator[tuple[str, ...]]:
    for figure, value in result.figures.items():
        goal = result.goals.get(figure)
        shown = ("", "", "") if goal is None else _compared(goal, value, result.figures, judged=judged)
        yield (result.name, figure, *quantity(figure, value), *shown)


def _compared(goal: Goal, value: float, figures: Mapping[str, float], *, judged: bool) -> tuple[str, str, str]:
    """The ratio, the goal and the verdict."""
    ratio = goal.ratio(value, figures)
    verdict = ""
    if goal.is_set:
        verdict = ("yes" if goal.reached(value, figures) else "no") if judged else "-"
    return "" if ratio is None else f"{ratio:.3g}", str(goal), verdict


def quantity(figure: str, value: float) -> tuple[str, str]:
    """The number and the unit to show; seconds are shown in the unit that leaves a number above one."""
    if "_per_second" in figure:
        return f"{value:,.0f}", "/s"
    if figure.endswith("_seconds"):
        size, unit = next((scale for scale in SCALES if abs(value) >= scale[0]), SCALES[-1])
        return f"{value / size:.3g}", unit
    unit = UNITS.get(figure.rpartition("_")[2], "")
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}", unit


def document(results: Iterable[Result], *, machine: dict[str, Any], scale: float) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; values in the units that their names end in."""
    return {"machine": machine, "scale": scale, "results": [attrs.asdict(result) for result in results]}

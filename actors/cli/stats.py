"""`actors stats`: what the counters say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs
import click

from ..core.printable import plain
from . import json_text
from .opening import beside, look_options
from .terminal import say

if TYPE_CHECKING:
    from ..store.views import Statistics

_NAME = 12


@click.command()
@look_options
def stats(database: str | None, as_json: bool) -> None:
    """Show how many tasks there are, and how they end.

    By state and type; how long they take, and what goes wrong. The figures are counters that the nodes keep, so that
    this is quick on any number of tasks.

    \b
    Examples:
      actors stats
      actors stats --json --database sqlite:////var/lib/service/tasks.db
    """
    found = beside(database, lambda app: app.statistics())
    if as_json:
        say(json_text.one(_without_uptime(found)))
    else:
        say("\n".join(_lines(found)))


def _without_uptime(found: Statistics) -> dict[str, object]:
    """The uptime would be that of this command."""
    return attrs.asdict(found, filter=lambda field, _: field.name != "uptime_seconds")


def _lines(found: Statistics) -> Iterator[str]:
    yield f"{'tasks':<{_NAME}}{found.total_tasks:,}"
    yield from _counts(found.by_status)
    ends = found.success_count + found.failure_count
    yield f"{'success':<{_NAME}}{found.success_rate:.2f} % of {ends:,} that completed, failed or timed out"
    yield f"{'duration':<{_NAME}}{found.avg_execution_time:.3f} s on average, of those that completed"
    yield f"{'throughput':<{_NAME}}{found.throughput_per_minute:,.1f} a minute completed, in the last five minutes"
    if found.by_type:
        yield "types"
        yield from _counts(found.by_type)
    if found.top_errors:
        yield "errors"
        yield from _counts(found.top_errors)


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    longest = max((len(f"{count:,}") for count in counts.values()), default=0)
    return (f"  {count:>{longest},}  {plain(name)}" for name, count in counts.items())

"""Values on the command line: durations, times, ids, JSON objects, priorities."""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import click

from ..core.errors import ActorsError, did_you_mean
from ..core.identity import is_uuid
from ..core.options import span
from ..core.task import TaskPriority, TaskStatus

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")

STATUS = click.Choice([status.value for status in TaskStatus], case_sensitive=False)


def seconds(text: str) -> float | None:
    """The seconds of `90`, `90s`, `15m`, `1h30m`, `7d` or `2w`; None for other text."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    if not text.isascii() or not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration(text: str) -> float:
    """Seconds, 0 or more."""
    found = seconds(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration; give 90, 90s, 15m, 1h30m or 7d")
    try:
        return span("it", found)
    except ActorsError as error:
        raise click.BadParameter(str(error)) from None


def time_limit(text: str) -> float:
    """Seconds; infinity for none."""
    return math.inf if text.lower() == "none" else duration(text)


def past(text: str) -> datetime:
    """A time in ISO format (without a zone: UTC), or how long ago it was."""
    return _moment(text, -1, "ago")


def future(text: str) -> datetime:
    """A time in ISO format (without a zone: UTC), or how far ahead it is."""
    return _moment(text, 1, "from now")


def _moment(text: str, direction: int, words: str) -> datetime:
    distance = seconds(text)
    try:
        if distance is not None:
            return datetime.now(UTC) + timedelta(seconds=direction * distance)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        example = f"2h ({words}), 2026-03-01 or 2026-03-01T12:00:00+01:00"
        raise click.BadParameter(f"{text!r} is no time; give {example}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def task_id(text: str) -> str:
    """A whole task id, as rows have it."""
    if not is_uuid(text):
        raise click.BadParameter(f"{text!r:.80} is no task id; give all of it, as `actors list` shows it")
    return text.lower()


def priority(text: str) -> int:
    """0 to 100, or a name."""
    names = {priority.name.lower(): priority.value for priority in TaskPriority}
    if text.lower() in names:
        return names[text.lower()]
    if re.fullmatch(r"\d{1,3}", text, re.ASCII) and int(text) <= 100:
        return int(text)
    raise click.BadParameter(
        f"{text!r} is no priority; give 0 to 100, or {', '.join(names)}{did_you_mean(text, names)}"
    )


def json_object(text: str) -> dict[str, Any]:
    """A JSON object as it was written, `-`: from stdin; whether it fits the task type is for that to say."""
    if text == "-" and sys.stdin is None:
        raise click.BadParameter("stdin is closed; give the JSON itself, or pipe it in")
    try:
        given = sys.stdin.buffer.read().decode() if text == "-" else text
        found = json.loads(given, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        raise click.BadParameter(_where(error)) from None
    except RecursionError:
        raise click.BadParameter("this is nested too deeply") from None
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f'this is {given.strip()!r:.60}; it should be an object: {{"field": value}}')
    return found


def _where(error: json.JSONDecodeError) -> str:
    here = f"line {error.lineno}, column {error.colno}"
    near = repr(error.doc[error.pos : error.pos + 20]) if error.pos < len(error.doc) else "the end"
    return f"this is no JSON: {error.msg} at {here}, before {near}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in it")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found

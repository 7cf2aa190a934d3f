"""Why a value does not fit, and where: turned into one line for the user."""

from __future__ import annotations

import json
import reprlib
import typing
from collections.abc import Iterable
from typing import Any

from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError

from .errors import did_you_mean

MOST_SHOWN = 80
"""Characters of a value that a message shows."""

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = MOST_SHOWN


class Misfit(Exception):
    """A value that does not fit.

    Attributes:
        problem: what is wrong, as the end of a sentence: `is "5" (str); it should be int`.
        path: where inside the field it is: `.lines[2].qty`, or an empty text for the field itself.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def within(self, step: str) -> Misfit:
        """The same misfit, seen from one level further out."""
        return Misfit(self.problem, step + self.path)


def unlike(value: object, wanted: str) -> Misfit:
    """The misfit of *value* where *wanted* should be."""
    return Misfit(f"is {shown(value)} ({type(value).__name__}); it should be {wanted}")


def shown(value: object) -> str:
    """*value* for a message: on one line, at most `MOST_SHOWN` characters."""
    whole = json.dumps(value[: MOST_SHOWN + 1]) if isinstance(value, str) else " ".join(_brief.repr(value).split())
    return whole if len(whole) <= MOST_SHOWN else whole[: MOST_SHOWN - 1] + "…"


def unknown_field(name: str, known: Iterable[str]) -> Misfit:
    """The misfit of an object with a field *name* that is none of the *known* ones."""
    return Misfit(f"has no field {quoted(name)}{did_you_mean(name, known)}")


def quoted(name: object) -> str:
    """*name* in quotes for a message, cut as `shown` cuts."""
    return repr(name)[:MOST_SHOWN]


def key_step(key: str) -> str:
    """The step into a JSON object: `.name`, or `["a name"]`."""
    return f".{key}" if key.isidentifier() else f"[{shown(key)}]"


def explain(error: Exception) -> Misfit:
    """The first reason in *error*, whatever raised it: a shape, cattrs, or the user's own class."""
    if isinstance(error, Misfit):
        return error
    if isinstance(error, ClassValidationError):
        return _explain_class(error)
    if isinstance(error, RecursionError):
        return Misfit("is nested too deeply")
    return Misfit(f"is refused: {type(error).__name__}: {' '.join(str(error).split())}")


def _explain_class(error: ClassValidationError) -> Misfit:
    """An unknown name comes before a missing one: together they are most often a misspelling."""
    named, others = error.group_exceptions()
    for other in others:
        if isinstance(other, ForbiddenExtraKeysError):
            return _explain_extra(other)
    if not named:
        return explain(others[0])
    cause, note = named[0]
    if isinstance(cause, KeyError) and cause.args == (note.name,):
        return Misfit("is missing", f".{note.name}")
    return explain(cause).within(f".{note.name}")


def _explain_extra(error: ForbiddenExtraKeysError) -> Misfit:
    name = min(error.extra_fields)
    known: dict[str, Any] = typing.get_type_hints(typing.get_origin(error.cl) or error.cl)
    return unknown_field(name, known)

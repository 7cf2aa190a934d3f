"""Strict JSON: what may be written, checked to the last leaf, and what is read."""

from __future__ import annotations

import json
import math
import re
from types import NoneType
from typing import Any

import orjson

from .errors import InvalidPayload
from .misfit import Misfit, key_step, shown, unlike

OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
LEAST_INTEGER = -(2**63)
MOST_INTEGER = 2**64 - 1
MOST_LEVELS = 200
"""Lists and objects inside one another; orjson itself writes at most 254."""

_LONG_INTEGER = re.compile(r"\d{19}")


def text(value: Any, _: Any = None) -> str:
    """*value*, a str without lone surrogates (they have no UTF-8 form). Raises `Misfit`."""
    if type(value) is not str:
        raise unlike(value, "str")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise unlike(value, "text without lone surrogates") from None
    return value


def whole(value: Any, _: Any = None) -> int:
    """*value*, an int of at most 64 bits, signed or unsigned; a bool is none. Raises `Misfit`."""
    if type(value) is not int:
        raise unlike(value, "int")
    if not LEAST_INTEGER <= value <= MOST_INTEGER:
        raise unlike(value, "int of at most 64 bits")
    return value


def number(value: Any, _: Any = None) -> float:
    """*value* as a float: finite, or an int. Raises `Misfit`."""
    if type(value) is int:
        return float(whole(value))
    if type(value) is not float:
        raise unlike(value, "float")
    if not math.isfinite(value):
        raise unlike(value, "a finite number")
    return value


def plain(value: Any, _: Any = None) -> Any:
    """*value*, anything that JSON has; a tuple counts as a list. Raises `Misfit`."""
    _walk(value, MOST_LEVELS)
    return value


def _walk(value: Any, levels: int) -> None:
    kind = type(value)
    if kind is str:
        text(value)
    elif kind is int:
        whole(value)
    elif kind is float:
        number(value)
    elif kind is list or kind is tuple:
        _walk_steps(((f"[{place}]", element) for place, element in enumerate(value)), levels)
    elif kind is dict:
        _walk_steps(((key_step(json_key(key)), element) for key, element in value.items()), levels)
    elif kind is not bool and kind is not NoneType:
        raise unlike(value, "a JSON value")


def _walk_steps(steps: Any, levels: int) -> None:
    if not levels:
        raise Misfit("is nested too deeply")
    for step, element in steps:
        try:
            _walk(element, levels - 1)
        except Misfit as misfit:
            raise misfit.within(step) from None


def json_key(key: Any) -> str:
    """*key*, if it can name a member of a JSON object. Raises `Misfit`."""
    try:
        return text(key)
    except Misfit:
        raise Misfit(f"has the key {shown(key)} ({type(key).__name__}); keys should be text (str)") from None


def dumps(value: Any) -> str:
    """*value* as JSON text.

    Raises:
        InvalidPayload: it is not strict JSON (NaN, a non-text key, an object, too many levels, …).
    """
    try:
        return orjson.dumps(plain(value), option=OPTIONS).decode()
    except Misfit as misfit:
        raise InvalidPayload(f"the value{at(misfit.path)} {misfit.problem}") from None


def loads(source: str | bytes) -> Any:
    """The value of JSON text that may come from a user.

    Raises:
        InvalidPayload: it is no JSON, or has an integer over 64 bits (which orjson would read as a float).
    """
    try:
        value = orjson.loads(source)
        readable = source if isinstance(source, str) else source.decode()
        return json.loads(readable, parse_int=_bounded) if _LONG_INTEGER.search(readable) else value
    except Misfit as misfit:
        raise InvalidPayload(f"the JSON text has a number that {misfit.problem}") from None
    except ValueError as error:
        raise InvalidPayload(f"the text is no JSON: {error}") from None


def _bounded(digits: str) -> int:
    if len(digits) > len(str(LEAST_INTEGER)):
        raise Misfit(f"is {digits[:40]} (int); it should be int of at most 64 bits")
    return whole(int(digits))


def at(path: str) -> str:
    """The words for *path* in a message about a whole value."""
    return f" at {path.removeprefix('.')!r}" if path else ""

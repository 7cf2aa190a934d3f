"""Which values the plain keywords of JSON Schema take: those that hold no schema of their own.

A keyword with another value would make the validator raise in the middle of a run, so it never gets that far.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return True


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_anything(value: Any) -> bool:
    return True


WELL_FORMED: dict[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": _is_list,
    "const": _is_anything,
    "format": lambda value: isinstance(value, str),
    "pattern": _is_pattern,
    "required": _is_names,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "readOnly": _is_flag,
    "writeOnly": _is_flag,
    "uniqueItems": _is_flag,
    "examples": _is_list,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minProperties", "maxProperties"), _is_count),
}

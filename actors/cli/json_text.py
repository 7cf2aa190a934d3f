"""Values as JSON text that is harmless on a terminal too."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs


def one(value: object) -> str:
    """*value* as JSON, in lines for people."""
    return _harmless(json.dumps(_bare(value), indent=2))


def compact(value: object) -> str:
    """*value* as JSON in one line."""
    return _harmless(json.dumps(_bare(value)))


def array(values: Sequence[object]) -> str:
    """One JSON array with each of *values* in a line of its own."""
    return "[\n" + ",\n".join(map(compact, values)) + "\n]" if values else "[]"


def _harmless(text: str) -> str:
    """All beyond ASCII and below the blank is escaped by `json.dumps`; this leaves one."""
    return text.replace("\x7f", "\\u007f")


def _bare(value: Any) -> Any:
    """What JSON knows: records by field, times in ISO format, enums by value."""
    match value:
        case enum.Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(name): _bare(part) for name, part in value.items()}
        case list() | tuple():
            return [_bare(part) for part in value]
    if attrs.has(type(value)):
        return {field.name: _bare(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return value

"""What a schema says about the outside of a value: its types, its members, its items, wherever in it that is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from actors.demo.model import Schema
from actors.demo.schemas import definition_name

Definitions = Mapping[str, Schema]


def parts(schema: Schema, definitions: Definitions) -> Iterator[Schema]:
    """*schema*, and each schema that may speak about the same value: through `$ref`, allOf, anyOf and oneOf."""
    yield schema
    if "$ref" in schema:
        yield from parts(definitions[definition_name(schema)], definitions)
    for key in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(key, ()):
            yield from parts(inner, definitions)


def types(schema: Schema, definitions: Definitions) -> set[str]:
    """The JSON types that are named for the value; empty if none is."""
    named = [part["type"] for part in parts(schema, definitions) if "type" in part]
    return {name for names in named for name in (names if isinstance(names, list) else [names])}


def properties(schema: Schema, definitions: Definitions) -> dict[str, Schema]:
    """The members that are named for an object."""
    found: dict[str, Schema] = {}
    for part in parts(schema, definitions):
        for name, inner in part.get("properties", {}).items():
            found.setdefault(name, inner)
    return found


def items(schema: Schema, definitions: Definitions) -> Schema:
    """What the items of a list must fit; `{}` if nothing is said."""
    return next((part["items"] for part in parts(schema, definitions) if "items" in part), {})


def required(schema: Schema, definitions: Definitions) -> list[str]:
    """The members that an object may be asked to have."""
    return list(dict.fromkeys(name for part in parts(schema, definitions) for name in part.get("required", ())))


def merge(one: Schema, other: Schema) -> Schema:
    """A schema that fits what fits both, as far as that can be told without trying values."""
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _both(key, merged[key], value) if key in merged else value
    return merged


def _both(key: str, one: object, other: object) -> object:
    match key, one, other:
        case "properties", dict(), dict():
            shared = {name: {"allOf": [one[name], other[name]]} for name in one.keys() & other.keys()}
            return {**one, **other, **shared}
        case "required", list(), list():
            return [*one, *(name for name in other if name not in one)]
        case "enum", list(), list():
            return [value for value in one if value in other] or one
        case "type", _, _:
            return _common_types(one, other)
        case (("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties"), int() | float(), _):
            return max(one, other)  # type: ignore[call-overload]
        case (("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties"), int() | float(), _):
            return min(one, other)  # type: ignore[call-overload]
        case "items", dict(), dict():
            return {"allOf": [one, other]}
    return other


def _common_types(one: object, other: object) -> object:
    ours = one if isinstance(one, list) else [one]
    theirs = other if isinstance(other, list) else [other]
    return [name for name in ours if name in theirs] or [
        "integer" if {"integer", "number"} <= {*ours, *theirs} else ours[0]
    ]

"""Values that do not fit: each breaks one rule of a schema, and says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from actors.demo import shape
from actors.demo.model import Schema
from actors.demo.text import MAX_LENGTH
from actors.demo.validation import Validation

_DEEPEST = 3
_MANY = 100  # items; a list is not made longer to be too long
_OTHERS: tuple[tuple[str, str, Any], ...] = (
    ("string", "text", "not-a-value"),
    ("object", "an object", {"unexpected": True}),
    ("number", "a number", 1.5),
    ("null", "null", None),
)


@attrs.frozen
class Misfit:
    """A value that breaks one rule: the member that breaks it (`category.id`, or nothing), and the rule."""

    place: str
    rule: str
    value: Any

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}" if self.place else self.rule


class Misfits:
    """Finds misfits for the schemas of one contract."""

    def __init__(self, definitions: shape.Definitions) -> None:
        self._definitions = definitions
        self._validation = Validation(definitions)

    def of(self, value: Any, schema: Schema, depth: int = 0) -> Iterator[Misfit]:
        """Variants of *value*, which fits *schema*, that each break one rule."""
        for misfit in self._variants(value, schema, depth):
            if not self._validation.fits(misfit.value, schema):
                yield misfit

    def _variants(self, value: Any, schema: Schema, depth: int) -> Iterator[Misfit]:
        if isinstance(value, dict):
            for name in shape.required(schema, self._definitions):
                if name in value:
                    yield Misfit("", f"without {name}", {key: inner for key, inner in value.items() if key != name})
            if depth < _DEEPEST:
                yield from self._inner(value, schema, depth)
        yield from self._wrong_type(schema)
        for part in shape.parts(schema, self._definitions):
            for rule, broken in _out_of_bounds(value, part):
                yield Misfit("", rule, broken)

    def _inner(self, value: dict[str, Any], schema: Schema, depth: int) -> Iterator[Misfit]:
        for name, inner in shape.properties(schema, self._definitions).items():
            if name in value:
                for misfit in self.of(value[name], inner, depth + 1):
                    place = f"{name}.{misfit.place}" if misfit.place else name
                    yield Misfit(place, misfit.rule, {**value, name: misfit.value})

    def _wrong_type(self, schema: Schema) -> Iterator[Misfit]:
        named = shape.types(schema, self._definitions)
        wanted = " or ".join(sorted(named))
        for kind, words, value in _OTHERS:
            if named and kind not in named and not self._validation.fits(value, schema):
                yield Misfit("", f"{words} in place of {wanted}", value)
                return


def _out_of_bounds(value: Any, part: Schema) -> Iterator[tuple[str, Any]]:
    if "enum" in part or "const" in part:
        yield "not one of the allowed values", "not-allowed"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _numbers(part)
    if isinstance(value, str):
        yield from _texts(part)
    if isinstance(value, list):
        yield from _lists(value, part)


def _numbers(part: Schema) -> Iterator[tuple[str, Any]]:
    if "minimum" in part:
        yield f"less than {part['minimum']}", part["minimum"] - 1
    if "maximum" in part:
        yield f"more than {part['maximum']}", part["maximum"] + 1
    if "exclusiveMinimum" in part:
        yield f"not more than {part['exclusiveMinimum']}", part["exclusiveMinimum"]
    if "exclusiveMaximum" in part:
        yield f"not less than {part['exclusiveMaximum']}", part["exclusiveMaximum"]


def _texts(part: Schema) -> Iterator[tuple[str, Any]]:
    if 0 < part.get("minLength", 0) <= MAX_LENGTH:
        yield f"shorter than {part['minLength']} characters", "x" * (part["minLength"] - 1)
    if part.get("maxLength", MAX_LENGTH) < MAX_LENGTH:
        yield f"longer than {part['maxLength']} characters", "x" * (part["maxLength"] + 1)
    if "pattern" in part:
        yield f"not of the pattern {part['pattern']}", "~ no match ~"


def _lists(value: list[Any], part: Schema) -> Iterator[tuple[str, Any]]:
    if part.get("minItems", 0) > 0:
        yield f"fewer than {part['minItems']} items", value[: part["minItems"] - 1]
    if value and part.get("maxItems", _MANY) < _MANY:
        yield f"more than {part['maxItems']} items", [value[0]] * (part["maxItems"] + 1)

"""Values that fit a schema: drawn by rule from a seed, then checked by jsonschema, so that none is wrong.

Why not a ready-made one: hypothesis-jsonschema uses what Hypothesis keeps to itself, and breaks with its releases;
Hypothesis alone spends seconds on a table of Unicode and leaves a folder where the user stands; jsf opens remote
references.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from random import Random
from typing import Any

from actors.demo import shape
from actors.demo.errors import NoSample
from actors.demo.model import Schema
from actors.demo.number import Amount, draw_integer, draw_number
from actors.demo.schemas import definition_name
from actors.demo.text import draw_text, word
from actors.demo.validation import Validation

_TRIES = 20
_MAX_ITEMS = 200
_SHALLOW = 4  # levels down to which optional members are drawn
_DEEPEST = 30


class Sampler:
    """Draws values for the schemas of one contract.

    The same seed and the same calls give the same values. *hidden* is the mark of members that are not drawn unless
    they are required: `readOnly` for requests, `writeOnly` for responses.
    """

    def __init__(self, definitions: shape.Definitions, random: Random, hidden: str = "readOnly") -> None:
        self._definitions = definitions
        self._validation = Validation(definitions)
        self._random = random
        self._hidden = hidden
        self._amount: Amount = "any"
        self._examples = True

    def sample(self, schema: Schema, amount: Amount = "any") -> Any:
        """A value that fits *schema*: with the least, the most, or any of what it leaves open.

        The schema's own examples are taken where they fit.

        Raises:
            NoSample: none of 20 draws fits.
        """
        reason = "no value was found that fits"
        self._amount = amount
        for attempt in range(_TRIES):
            self._examples = attempt < 2
            if attempt > _TRIES // 2:
                self._amount = "any"
            try:
                value = self._draw(schema, 0)
            except (NoSample, ArithmeticError) as error:
                reason = str(error)
                continue
            if self._validation.fits(value, schema):
                return value
        raise NoSample(reason)

    def _draw(self, schema: Schema, depth: int) -> Any:
        if depth > _DEEPEST:
            raise NoSample("the schema asks for a value without end")
        flat = self._flatten(schema)
        if "const" in flat:
            return flat["const"]
        if "enum" in flat:
            return self._choose(flat["enum"])
        if self._examples and flat.get("examples"):
            return self._choose(flat["examples"])
        return _DRAW[self._type(flat)](self, flat, depth)

    def _flatten(self, schema: Schema) -> Schema:
        """*schema* without references and combinations; where there is a choice, one branch is taken."""
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
        found = [self._flatten(inner) for inner in schema.get("allOf", ())]
        if "$ref" in schema:
            found.append(self._flatten(self._definitions[definition_name(schema)]))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                found.append(self._flatten(self._choose([s for s in schema[key] if s != _NULL] or [_NULL])))
        return reduce(shape.merge, found, own)

    def _choose(self, values: list[Any]) -> Any:
        if not values:
            raise NoSample("an empty enum fits nothing")
        known = [value for value in values if value is not None] or values
        return known[0] if self._amount == "least" else self._random.choice(known)

    def _type(self, schema: Schema) -> str:
        named = schema.get("type", [])
        if isinstance(named, str):
            return named
        kinds = [kind for kind in named if kind != "null"] or named
        return str(self._choose(kinds)) if kinds else next((_HINTS[key] for key in _HINTS if key in schema), "string")

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        members = schema.get("properties", {})
        required = schema.get("required", [])
        wanted = [name for name, inner in members.items() if name in required or self._wants(inner, depth)]
        names = dict.fromkeys([*wanted, *required])
        drawn = {name: self._draw(members.get(name, _rest(schema)), depth + 1) for name in names}
        while len(drawn) < self._least_members(schema, members):
            drawn[word(self._random, 6)] = self._draw(_rest(schema), depth + 1)
        return drawn

    def _wants(self, member: Schema, depth: int) -> bool:
        if self._amount == "least" or depth >= _SHALLOW:
            return False
        if any(part.get(self._hidden) for part in shape.parts(member, self._definitions)):
            return False
        return self._amount == "most" or self._random.random() < 0.5

    def _least_members(self, schema: Schema, members: dict[str, Schema]) -> int:
        is_map = not members and isinstance(schema.get("additionalProperties"), dict) and self._amount != "least"
        least = max(schema.get("minProperties", 0), 1 if is_map else 0)
        if least > _MAX_ITEMS:
            raise NoSample(f"an object of {least:,} members is not made")
        return int(min(least, schema.get("maxProperties", least)))

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        if least > _MAX_ITEMS:
            raise NoSample(f"a list of {least:,} items is not made")
        extra = 0 if self._amount == "least" or depth >= _SHALLOW else self._random.randint(1, 2)
        count = min(least + extra, schema.get("maxItems", least + extra))
        first = [self._draw(inner, depth + 1) for inner in schema.get("prefixItems", ())]
        drawn = first + [self._draw(schema.get("items", {}), depth + 1) for _ in range(count - len(first))]
        return list({json.dumps(item): item for item in drawn}.values()) if schema.get("uniqueItems") else drawn

    def _string(self, schema: Schema, depth: int) -> str:
        return draw_text(schema, self._random)

    def _integer(self, schema: Schema, depth: int) -> int:
        return draw_integer(schema, self._random, self._amount)

    def _number(self, schema: Schema, depth: int) -> float:
        return draw_number(schema, self._random)

    def _boolean(self, schema: Schema, depth: int) -> bool:
        return self._random.random() < 0.5

    def _null(self, schema: Schema, depth: int) -> None:
        return None


_NULL = {"type": "null"}
_HINTS = {"properties": "object", "additionalProperties": "object", "required": "object", "items": "array"}
_HINTS |= {"minimum": "number", "maximum": "number"}
_DRAW: dict[str, Callable[[Sampler, Schema, int], Any]] = {
    "object": Sampler._object,
    "array": Sampler._array,
    "string": Sampler._string,
    "integer": Sampler._integer,
    "number": Sampler._number,
    "boolean": Sampler._boolean,
    "null": Sampler._null,
}


def _rest(schema: Schema) -> Schema:
    """What members must fit that are not named."""
    rest = schema.get("additionalProperties", {})
    return rest if isinstance(rest, dict) else {}

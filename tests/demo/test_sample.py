from __future__ import annotations

from random import Random
from typing import Any

import pytest

from actors.demo.errors import NoSample
from actors.demo.model import Schema
from actors.demo.number import Amount
from actors.demo.sample import Sampler
from actors.demo.validation import Validation

TREE: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
}
ENDLESS: Schema = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/Endless"}}}
DEFINITIONS = {"Tree": TREE, "Endless": ENDLESS}

SCHEMAS: list[Schema] = [
    {},
    {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 50},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
    {"type": "number", "multipleOf": 0.5, "maximum": -3},
    {"type": "string", "minLength": 30, "maxLength": 31},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4,6}$"},
    *({"type": "string", "format": name} for name in ("date", "email", "uuid", "ipv4", "ipv6", "date-time", "byte")),
    {"enum": ["a", None, 3]},
    {"const": {"a": 1}},
    {"type": ["string", "null"]},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "integer"}},
    {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "minItems": 2},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "integer"}}},
    {"allOf": [{"required": ["a"], "properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer"}}}]},
    {"oneOf": [{"type": "integer"}, {"type": "object", "required": ["x"], "properties": {"x": {"const": 1}}}]},
    {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Tree"}]},
    {"$ref": "#/$defs/Tree"},
    {"type": "integer", "examples": ["an example that does not fit"]},
]


@pytest.mark.parametrize("amount", ["least", "most", "any"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_a_sample_fits_its_schema(schema: Schema, amount: Amount) -> None:
    sampler = Sampler(DEFINITIONS, Random(1))
    for _ in range(5):
        assert Validation(DEFINITIONS).misfit(sampler.sample(schema, amount), schema) is None


def test_the_same_seed_gives_the_same_samples() -> None:
    def draw() -> list[Any]:
        sampler = Sampler(DEFINITIONS, Random("seed"))
        return [sampler.sample(TREE) for _ in range(10)]

    assert draw() == draw()


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {}},
        {"enum": []},
        {"$ref": "#/$defs/Endless"},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "number", "multipleOf": 10, "minimum": 1, "maximum": 9},
        {"type": "integer", "minimum": 10**400},
        {"type": "string", "minLength": 10**12},
        {"type": "string", "pattern": "a" * 1000},
        {"type": "array", "minItems": 10**9},
        {"type": "object", "minProperties": 10**9},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_what_can_not_be_had_is_told_soon(schema: Schema) -> None:
    with pytest.raises(NoSample):
        Sampler(DEFINITIONS, Random(1)).sample(schema)


def test_examples_are_taken_where_they_fit() -> None:
    schema: Schema = {"type": "object", "properties": {"a": {"type": "string", "examples": ["the example"]}}}
    assert Sampler({}, Random(1)).sample(schema, "most") == {"a": "the example"}


def test_members_that_only_the_server_writes_are_not_sent() -> None:
    schema: Schema = {"properties": {"id": {"type": "integer", "readOnly": True}, "a": {"type": "integer"}}}
    assert set(Sampler({}, Random(1)).sample(schema, "most")) == {"a"}
    assert set(Sampler({}, Random(1), hidden="writeOnly").sample(schema, "most")) == {"a", "id"}

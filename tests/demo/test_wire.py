from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.demo.errors import NoSample
from actors.demo.model import Parameter, Schema
from actors.demo.wire import FORM, decode, decode_body, encode, encode_body


def parameter(schema: Schema, place: str = "query", style: str = "form", *, explode: bool = True) -> Parameter:
    return Parameter("p", place, required=True, schema=schema, style=style, explode=explode)


@pytest.mark.parametrize(
    ("schema", "value", "style", "explode", "sent"),
    [
        ({"type": "integer"}, 7, "form", True, [("p", "7")]),
        ({"type": "string"}, "7", "form", True, [("p", "7")]),
        ({"type": "number"}, 1.5, "form", True, [("p", "1.5")]),
        ({"type": "boolean"}, True, "form", True, [("p", "true")]),
        ({"type": ["integer", "null"]}, None, "form", True, [("p", "null")]),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], "form", True, [("p", "1"), ("p", "2")]),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], "form", False, [("p", "1,2")]),
        ({"type": "array", "items": {"type": "string"}}, ["a", "b"], "pipeDelimited", False, [("p", "a|b")]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}, "deepObject", True, [("p[a]", "1")]),
        ({"allOf": [{"anyOf": [{"type": "integer"}]}]}, 5, "form", True, [("p", "5")]),
    ],
)
def test_a_parameter_comes_back_as_what_it_was(
    schema: Schema, value: Any, style: str, explode: bool, sent: list[tuple[str, str]]
) -> None:
    it = parameter(schema, style=style, explode=explode)
    assert encode(it, value) == sent
    assert decode(it, sent, {}) == value


@given(st.integers(-(10**20), 10**20))
def test_integers_come_back(value: int) -> None:
    it = parameter({"type": "integer"})
    assert decode(it, encode(it, value), {}) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back(value: float) -> None:
    it = parameter({"type": "number"})
    assert decode(it, encode(it, value), {}) == value


def test_a_number_beyond_all_numbers_is_text() -> None:
    assert decode(parameter({"type": "number"}), [("p", "1e999")], {}) == "1e999"


def test_text_that_is_no_number_stays_text_for_the_schema_to_refuse() -> None:
    assert decode(parameter({"type": "integer"}), [("p", "seven")], {}) == "seven"


@pytest.mark.parametrize(
    ("place", "value"),
    [("path", ""), ("path", ".."), ("header", "a\r\nevil: 1"), ("header", " a"), ("header", "é"), ("cookie", "a;b")],
)
def test_what_a_place_can_not_carry_is_not_sent(place: str, value: str) -> None:
    with pytest.raises(NoSample, match="can't carry"):
        encode(parameter({"type": "string"}, place, "simple"), value)


def test_an_empty_list_can_not_be_told_from_none() -> None:
    with pytest.raises(NoSample, match="empty"):
        encode(parameter({"type": "array"}), [])


@pytest.mark.parametrize("media_type", ["application/json", "application/problem+json", FORM])
def test_a_body_comes_back_as_what_it_was(media_type: str) -> None:
    properties: dict[str, Schema] = {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "boolean"}}}
    value = {"a": 1, "b": [True, False], "c": "é &="}
    schema: Schema = {"properties": properties}
    assert decode_body(media_type, encode_body(media_type, value), schema, {}) == value


def test_bodies_that_the_demo_can_not_write_are_told() -> None:
    with pytest.raises(NoSample, match="application/xml"):
        encode_body("application/xml", {"a": 1})

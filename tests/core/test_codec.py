"""Payloads: what is given is what the handler gets."""

from __future__ import annotations

import functools
import json
import math
from collections import deque
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.codec import Signature, UnencodableResult, dumps, loads
from actors.core.errors import InvalidPayload

from .handlers import ANNOTATIONS, Access, Box, Circle, Color, Even, Level, Line, Node, Options, Order, Square, Tag

WHOLE = st.integers(-(2**63), 2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
MOMENTS = st.datetimes() | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=30))]))
LINES = st.builds(Line, TEXT, WHOLE, st.none() | MOMENTS)
NODES: st.SearchStrategy[Node] = st.recursive(
    st.builds(Node, WHOLE), lambda inner: st.builds(Node, WHOLE, st.lists(inner, max_size=3)), max_leaves=5
)
WHOLES = st.lists(WHOLE, max_size=5)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "alias": WHOLE,
    "int": WHOLE,
    "float": FINITE,
    "bool": st.booleans(),
    "none": st.none(),
    "bytes": st.binary(),
    "datetime": MOMENTS,
    "date": st.dates(),
    "time": st.times(),
    "timedelta": st.timedeltas(timedelta(days=-36500), timedelta(days=36500)),
    "uuid": st.uuids(),
    "decimal": DECIMALS,
    "enum": st.sampled_from(Color),
    "int enum": st.sampled_from(Level),
    "str enum": st.sampled_from(Tag),
    "flag": st.sampled_from([Access.READ, Access.READ | Access.WRITE]),
    "literal": st.sampled_from(["a", 1, None, Tag.NEW]),
    "new type": WHOLE,
    "annotated": WHOLE,
    "list": WHOLES,
    "bare list": st.lists(JSON, max_size=3),
    "tuple": WHOLES.map(tuple),
    "fixed tuple": st.tuples(WHOLE, TEXT, st.dates()),
    "empty tuple": st.just(()),
    "set": st.sets(WHOLE),
    "frozenset": st.frozensets(TEXT),
    "deque": WHOLES.map(deque),
    "sequence": WHOLES,
    "mutable sequence": WHOLES,
    "collection": WHOLES,
    "abstract set": st.frozensets(WHOLE),
    "mutable set": st.sets(WHOLE),
    "dict": st.dictionaries(TEXT, st.lists(MOMENTS, max_size=3), max_size=3),
    "bare dict": st.dictionaries(TEXT, JSON, max_size=3),
    "dict by uuid": st.dictionaries(st.uuids(), DECIMALS, max_size=3),
    "optional": st.none() | TEXT,
    "optional object": st.none() | LINES,
    "scalars": WHOLE | TEXT | st.booleans() | st.none(),
    "numbers": WHOLE | FINITE,
    "number or text": FINITE | TEXT,
    "mixed": st.uuids() | WHOLE | st.lists(st.sampled_from(Color)) | LINES,
    "attrs": LINES,
    "dataclass": st.builds(Order, st.lists(LINES, max_size=3), st.dictionaries(TEXT, st.sampled_from(Color))),
    "recursive": NODES,
    "generic": st.builds(Box, MOMENTS, st.lists(MOMENTS, max_size=2)),
    "shapes": st.builds(Circle, FINITE) | st.builds(Square, FINITE),
    "shapes or text": st.builds(Circle, FINITE) | st.builds(Square, FINITE) | TEXT | st.none(),
    "typed dict": st.fixed_dictionaries({"depth": WHOLE}, optional={"label": TEXT}),
    "any": JSON,
    "object or none": JSON,
}


@functools.cache
def signature_for(kind: str) -> Signature:
    """The signature of a handler with one parameter, and a result, of this kind."""

    def handler(value: Any) -> Any: ...

    handler.__annotations__ = {"value": ANNOTATIONS[kind], "return": ANNOTATIONS[kind]}
    return Signature.of(handler, skip_first=False, name="keep")


def parameter(annotation: Any) -> Signature:
    def handler(value: Any) -> Any: ...

    handler.__annotations__ = {"value": annotation}
    return Signature.of(handler, skip_first=False, name="keep")


def test_every_kind_has_a_strategy() -> None:
    assert set(VALUES) == set(ANNOTATIONS)


@pytest.mark.parametrize("kind", ANNOTATIONS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_given_is_what_the_handler_gets(kind: str, data: st.DataObject) -> None:
    signature, value = signature_for(kind), data.draw(VALUES[kind])
    stored = signature.encode((), {"value": value})
    back = signature.decode(stored)["value"]
    assert back == value
    assert type(back) is type(value)
    assert json.loads(stored).keys() == {"value"}
    assert signature.check(json.loads(stored)) == stored


@pytest.mark.parametrize("kind", ANNOTATIONS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_result_comes_back_as_its_annotation_says(kind: str, data: st.DataObject) -> None:
    signature, value = signature_for(kind), data.draw(VALUES[kind])
    back = signature.decode_result(signature.encode_result(value))
    assert back == value
    assert type(back) is type(value)


REFUSED: list[tuple[str, Any, str]] = [
    ("int", "5", 'is "5" (str); it should be int'),
    ("int", 5.9, "is 5.9 (float); it should be int"),
    ("int", 5.0, "is 5.0 (float); it should be int"),
    ("int", True, "is True (bool); it should be int"),
    ("int", 2**64, "is 18446744073709551616 (int); it should be int of at most 64 bits"),
    ("int", -(2**63) - 1, "is -9223372036854775809 (int); it should be int of at most 64 bits"),
    ("int", None, "is None (NoneType); it should be int"),
    ("int", Access, "it should be int"),
    ("bool", 0, "is 0 (int); it should be bool"),
    ("bool", "false", 'is "false" (str); it should be bool'),
    ("str", 5, "is 5 (int); it should be str"),
    ("str", Tag.NEW, "it should be str"),
    ("str", uuid4(), "(UUID); it should be str"),
    ("str", "a\ud800", r'is "a\ud800" (str); it should be text without lone surrogates'),
    ("float", "1.5", 'is "1.5" (str); it should be float'),
    ("float", True, "is True (bool); it should be float"),
    ("float", math.nan, "is nan (float); it should be a finite number"),
    ("float", math.inf, "is inf (float); it should be a finite number"),
    ("float", 2**64, "it should be int of at most 64 bits"),
    ("none", 0, "is 0 (int); it should be None"),
    ("bytes", "not base64!", 'is "not base64!" (str); it should be bytes in base64'),
    ("datetime", "2026-01-01", 'is "2026-01-01" (str); it should be datetime in ISO 8601'),
    ("datetime", "yesterday, at noon", "it should be datetime in ISO 8601"),
    ("datetime", 5, "is 5 (int); it should be datetime in ISO 8601"),
    ("date", datetime(2026, 1, 1, tzinfo=UTC), "it should be date in ISO 8601"),
    ("time", "25:00", "it should be time in ISO 8601"),
    ("timedelta", "5", "it should be timedelta in seconds"),
    ("timedelta", 1e300, "it should be timedelta in seconds"),
    ("uuid", "5", "it should be UUID"),
    ("decimal", "NaN", "it should be a finite Decimal as text"),
    ("decimal", Decimal("Infinity"), "it should be a finite Decimal as text"),
    ("decimal", 1.5, "it should be a finite Decimal as text"),
    ("enum", "green", 'is "green" (str); it should be Color, one of "red", "blue"'),
    ("int enum", True, "it should be Level, one of 1, 2"),
    ("int enum", 1.0, "it should be Level, one of 1, 2"),
    ("literal", True, 'it should be one of "a", 1, None, "new"'),
    ("literal", "b", "it should be one of"),
    ("literal", [], "it should be one of"),
    ("list", "abc", 'is "abc" (str); it should be list[int]'),
    ("list", (1, 2), "is (1, 2) (tuple); it should be list[int]"),
    ("list", {"1": 2}, "(dict); it should be list[int]"),
    ("fixed tuple", (1, "a"), "a list of 3"),
    ("fixed tuple", "abc", "a list of 3"),
    ("set", [[]], "it should be int"),
    ("dict", [], "is [] (list); it should be dict[str, list[datetime.datetime]]"),
    ("bare dict", {5: 1}, "has the key 5 (int); keys should be text (str)"),
    ("bare dict", {"\ud800": 1}, r'has the key "\ud800" (str); keys should be text (str)'),
    ("scalars", 1.5, "is 1.5 (float); it should be int | str | bool | None"),
    ("mixed", math.pi, "is 3.141592653589793 (float); it should be"),
    ("attrs", [], "is [] (list); it should be Line, an object"),
    ("attrs", Circle(1.0), "is Circle(radius=1.0) (Circle); it should be Line, an object"),
    ("attrs", {"sku": "a", "qty": 1, "_type": "os.system"}, "has no field '_type'"),
    ("attrs", {"sku": "a", "qtty": 1}, "has no field 'qtty'; did you mean 'qty'?"),
    ("typed dict", {"depth": 1, "lable": "a"}, "has no field 'lable'; did you mean 'label'?"),
    ("typed dict", [], "is [] (list); it should be Options, an object"),
    ("shapes", [], "is [] (list); it should be Circle | Square"),
    ("shapes", {}, "is refused: "),
    ("alias", "5", 'is "5" (str); it should be int'),
    ("any", object, "is <class 'object'> (type); it should be a JSON value"),
    ("any", Color.RED, "(Color); it should be a JSON value"),
    ("any", math.nan, "is nan (float); it should be a finite number"),
    ("any", 2**64, "it should be int of at most 64 bits"),
]


@pytest.mark.parametrize(("kind", "value", "why"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(kind: str, value: Any, why: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        signature_for(kind).encode((), {"value": value})
    line = str(caught.value)
    assert line.startswith("task 'keep': field 'value")
    assert why in line
    assert "\n" not in line


PLACES: list[tuple[Any, Any, str]] = [
    (Order, {"lines": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": "2"}]}, "'value.lines[1].qty' is \"2\" (str)"),
    (Order, Order([Line("a", "1")]), "'value.lines[0].qty' is \"1\" (str)"),  # type: ignore[arg-type]
    (Order, {"lines": [{"sku": "a"}]}, "'value.lines[0].qty' is missing"),
    (Order, {"lines": [], "colors": {"a b": "green"}}, '\'value.colors["a b"]\' is "green"'),
    (Options, {"depth": "x"}, "'value.depth' is \"x\" (str)"),
    (Options, {"label": "x"}, "'value.depth' is missing"),
    (Box[int], Box("a"), "'value.content' is \"a\" (str); it should be int"),
    (Box[int], Box(1, ["a"]), "'value.more[0]' is \"a\" (str); it should be int"),
    (tuple[int, int], (1, "a"), "'value[1]' is \"a\" (str)"),
    (Any, {"a": [1, {"b": {1, 2}}]}, "'value.a[1].b' is {1, 2} (set)"),
    (list[float], [1.0, math.nan], "'value[1]' is nan"),
    (Even, {"_number": 3}, "'value' is refused: ValueError: 3 is odd"),
]


@pytest.mark.parametrize(("annotation", "value", "why"), PLACES)
def test_a_refusal_names_the_place(annotation: Any, value: Any, why: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parameter(annotation).check({"value": value})
    assert why in str(caught.value)


def test_an_int_becomes_a_float_where_a_float_is_wanted() -> None:
    signature = parameter(float)
    back = signature.decode(signature.encode((), {"value": 5}))["value"]
    assert (back, type(back)) == (5.0, float)


def test_data_may_mix_json_and_python_values() -> None:
    due = datetime(2026, 1, 1, tzinfo=UTC)
    signature = parameter(Order)
    stored = signature.check({"value": {"lines": [{"sku": "a", "qty": 1, "due": due}, Line("b", 2)]}})
    assert signature.decode(stored)["value"] == Order([Line("a", 1, due), Line("b", 2)])


def test_fields_with_aliases_and_without_init_or_annotation_are_kept() -> None:
    signature = parameter(Even)
    assert signature.decode(signature.encode((), {"value": Even(4, note=[1])}))["value"] == Even(4, note=[1])


def test_a_set_has_one_text_whatever_the_order_of_its_members() -> None:
    signature = parameter(set[str])
    assert signature.encode((), {"value": {"b", "a", "c"}}) == '{"value":["a","b","c"]}'


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("annotation", [Any, list[Any], Node])
def test_ten_thousand_levels_are_too_many(annotation: Any) -> None:
    value = nested(10_000)
    if annotation is Node:
        value = Node(1)
        for _ in range(10_000):
            value = Node(1, [value])
    with pytest.raises(InvalidPayload, match="nested too deeply"):
        parameter(annotation).encode((), {"value": value})


def test_levels_that_only_orjson_refuses_are_refused_too() -> None:
    value = Node(1)
    for _ in range(150):
        value = Node(1, [value])
    with pytest.raises(InvalidPayload, match=r"no JSON|nested too deeply"):
        parameter(Node).encode((), {"value": value})


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidPayload, match="nested too deeply"):
        parameter(Any).encode((), {"value": value})


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidPayload) as caught:
        parameter(int).encode((), {"value": "x" * 100_000})
    assert len(str(caught.value)) < 200


def test_stored_text_that_no_longer_fits_says_so() -> None:
    signature = parameter(int)
    for stored, why in [
        ('{"value":"a"}', "field 'value' is \"a\" (str); it should be int"),
        ("{}", "field 'value' is missing"),
        ('{"value":1,"old":2}', "has no field 'old'"),
        ("[]", "the payload is []; it should be an object"),
        ("{", "the payload is no JSON"),
        ("[" * 10_000, "the payload is no JSON"),
    ]:
        with pytest.raises(InvalidPayload) as caught:
            signature.decode(stored)
        assert why in str(caught.value)
        assert "no longer fits the handler" in str(caught.value)


@given(JSON)
def test_plain_json_comes_back_as_it_was(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "the value is nan (float)"),
        ({"a": [uuid4]}, "the value at 'a[0]' is"),
        ({1: 2}, "the value has the key 1 (int)"),
    ],
)
def test_what_is_no_plain_json_is_refused(value: Any, why: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        dumps(value)
    assert why in str(caught.value)


@pytest.mark.parametrize("source", ["", "{", "NaN", "[1e999999]", b"\xff", "[" * 10_000])
def test_text_that_is_no_json_is_refused(source: str | bytes) -> None:
    with pytest.raises(InvalidPayload, match=r"the text is no JSON|finite"):
        loads(source)


@pytest.mark.parametrize("digits", ["18446744073709551616", "-9223372036854775809", "9" * 300])
def test_an_integer_over_64_bits_is_not_read_as_a_float(digits: str) -> None:
    with pytest.raises(InvalidPayload, match="64 bits"):
        loads(f'{{"a": [{digits}]}}')


def test_long_numbers_within_64_bits_are_read_to_the_last_digit() -> None:
    assert loads("[18446744073709551615, -9223372036854775808, 0.1234567890123456789]") == [
        2**64 - 1,
        -(2**63),
        0.1234567890123456789,
    ]


def test_a_result_without_an_annotation_is_kept_by_what_it_is() -> None:
    def handler(): ...  # type: ignore[no-untyped-def]

    signature = Signature.of(handler, skip_first=False, name="look")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    result = {"a": (1, {2}), "at": moment, "line": Line("a", 1), "id": UUID(int=5), "none": None}
    assert signature.decode_result(signature.encode_result(result)) == {
        "a": [1, [2]],
        "at": "2026-01-01T00:00:00+00:00",
        "line": {"sku": "a", "qty": 1, "due": None},
        "id": str(UUID(int=5)),
        "none": None,
    }
    assert signature.encode_result(None) == "null"
    assert signature.decode_result(None) is None
    refused = [
        ({"a": [object]}, "result.a[0] is <class"),
        ([math.nan], "result[0] is nan"),
        (nested(5000), "result is nested too deeply"),
    ]
    for value, why in refused:
        with pytest.raises(UnencodableResult) as caught:
            signature.encode_result(value)
        assert str(caught.value).startswith(f"task 'look': {why}")


def test_a_result_that_is_not_what_the_annotation_says_is_refused() -> None:
    with pytest.raises(UnencodableResult, match=r"task 'keep': result is None \(NoneType\); it should be int"):
        signature_for("int").encode_result(None)
    with pytest.raises(InvalidPayload, match=r'stored result is "a" \(str\); it should be int'):
        signature_for("int").decode_result('"a"')
    with pytest.raises(InvalidPayload, match="stored result is refused"):
        signature_for("int").decode_result("{")

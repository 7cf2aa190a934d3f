"""Calls: which arguments a handler takes, and which handlers can be declared."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar
from uuid import UUID

import attrs
import pytest

from actors.core.codec import Signature
from actors.core.errors import InvalidOption, InvalidPayload

from .handlers import Circle, Line, Vast

T = TypeVar("T")


class Pair(NamedTuple):
    one: int
    two: int


@attrs.frozen
class Opened:
    where: Path


@attrs.frozen
class SameAsCircle:
    radius: float


def greet(name: str, count: int = 1, *, loud: bool = False) -> str:
    return name * count + "!" * loud


def sign(function: Callable[..., Any], *, skip_first: bool = False) -> Signature:
    return Signature.of(function, skip_first=skip_first, name="greet")


@pytest.mark.parametrize(
    ("args", "kwargs", "stored"),
    [
        ((), {"name": "a"}, '{"name":"a"}'),
        (("a",), {}, '{"name":"a"}'),
        (("a", 2), {"loud": True}, '{"name":"a","count":2,"loud":true}'),
        ((), {"count": 1, "name": "a"}, '{"count":1,"name":"a"}'),
    ],
)
def test_only_what_was_given_is_stored(args: tuple[Any, ...], kwargs: dict[str, Any], stored: str) -> None:
    assert sign(greet).encode(args, kwargs) == stored


@pytest.mark.parametrize(
    ("args", "kwargs", "why"),
    [
        ((), {}, "task 'greet': field 'name' is missing"),
        ((), {"nmae": "a"}, "task 'greet' has no field 'nmae'; did you mean 'name'?"),
        (("a",), {"name": "b"}, "task 'greet': field 'name' is given twice"),
        (("a", 1, True), {}, "task 'greet' takes 2 positional arguments; 3 were given"),
        ((), {"name": "a", "count": "5"}, "task 'greet': field 'count' is \"5\" (str); it should be int"),
        ((), {"name": "a", "\x1b[31m": 1}, r"task 'greet' has no field '\x1b[31m'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        sign(greet).encode(args, kwargs)
    assert str(caught.value) == why


@pytest.mark.parametrize("data", [["x"], "x", 5, None])
def test_a_payload_that_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"^task 'greet': the payload is .*; it should be a mapping of fields$"):
        sign(greet).check(data)


def test_fields_have_text_for_names() -> None:
    data: Any = {5: 1}
    with pytest.raises(InvalidPayload, match="has no field 5; fields have text for names"):
        sign(greet).check(data)


def test_a_handler_without_parameters_takes_an_empty_object() -> None:
    def tick() -> None: ...

    signature = sign(tick)
    assert signature.encode((), {}) == "{}"
    assert signature.decode("{}") == signature.decode(b" {} ") == {}
    with pytest.raises(InvalidPayload, match="has no field 'a'"):
        signature.encode((), {"a": 1})


def test_the_context_is_no_field() -> None:
    def handler(ctx: object, name: str, **extra: int) -> None: ...

    signature = sign(handler, skip_first=True)
    assert signature.encode(("a",), {}) == '{"name":"a"}'
    with pytest.raises(InvalidPayload, match="has no field 'ctx'"):
        signature.encode((), {"name": "a", "ctx": 1})


def test_keyword_arguments_take_extra_fields_of_their_type() -> None:
    def handler(name: str, **extra: date) -> None: ...

    signature, day = sign(handler), date(2026, 1, 2)
    stored = signature.encode((), {"name": "a", "day": day})
    assert signature.decode(stored) == {"name": "a", "day": day}
    with pytest.raises(InvalidPayload, match="field 'day' is 5"):
        signature.encode((), {"name": "a", "day": 5})
    with pytest.raises(InvalidPayload, match="field 'name' is missing"):
        signature.encode((), {"day": day})


def test_an_extra_field_with_a_name_that_is_no_text_is_refused() -> None:
    def handler(**extra: Any) -> None: ...

    with pytest.raises(InvalidPayload, match="no JSON"):
        sign(handler).encode((), {"\ud800": 1})


def test_parameters_without_annotations_take_any_json() -> None:
    def handler(value): ...  # type: ignore[no-untyped-def]

    signature = sign(handler)
    assert signature.decode(signature.encode(({"a": [1, None]},), {})) == {"value": {"a": [1, None]}}


class Greeter:
    def __call__(self, name: str) -> UUID: ...  # type: ignore[empty-body]

    def method(self, name: str) -> UUID: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("function", [Greeter(), Greeter().method, functools.partial(greet, loud=True)])
def test_methods_callables_and_partials_are_handlers_too(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidPayload, match="field 'name' is 5"):
        sign(function).encode((5,), {})


def test_a_handler_that_never_returns_has_no_result_type() -> None:
    def handler() -> NoReturn:
        raise AssertionError

    assert sign(handler).result is None


def test_positional_parameters_are_refused() -> None:
    def spread(*names: str) -> None: ...

    def nameless(name: str, /) -> None: ...

    for function, name in [(spread, r"\*names"), (nameless, "name")]:
        with pytest.raises(InvalidOption, match=f"task 'greet': parameter '{name}' is positional only"):
            sign(function)


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    def handler(value: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidOption, match="task 'greet': an annotation cannot be resolved: name 'Missing'"):
        sign(handler)


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (Path, "Path cannot be kept in JSON"),
        (Opened, "Path cannot be kept in JSON"),
        (Pair, "Pair cannot be kept in JSON"),
        (Vast, "Vast cannot be kept in JSON"),
        (Literal[b"a"], "cannot be kept in JSON"),
        (complex, "complex cannot be kept in JSON"),
        (OrderedDict[str, int], "cannot be kept in JSON"),
        (T, "cannot be kept in JSON"),
        (Callable[[], None], "cannot be kept in JSON"),
        (dict[int, str], "where keys are text"),
        (str | datetime, "cannot be told apart in JSON, both are str"),
        (dict[str, int] | Line, "cannot be told apart in JSON, both are dict"),
        (Circle | SameAsCircle, "Circle | SameAsCircle: these cannot be told apart in JSON"),
    ],
)
def test_an_annotation_that_json_cannot_bring_back_is_refused(annotation: Any, why: str) -> None:
    def handler(value: Any) -> None: ...

    handler.__annotations__ = {"value": annotation}
    with pytest.raises(InvalidOption) as caught:
        sign(handler)
    assert str(caught.value).startswith("task 'greet': parameter 'value': ")
    assert why in str(caught.value)


def test_a_result_that_json_cannot_bring_back_is_refused() -> None:
    def handler() -> Path: ...  # type: ignore[empty-body]

    with pytest.raises(InvalidOption, match="task 'greet': the result: Path cannot be kept in JSON"):
        sign(handler)

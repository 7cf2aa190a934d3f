"""Payloads are strict: what does not fit is refused at submit, and nothing is stored."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
import pytest
from trio.testing import MockClock

from actors import Settings, TaskRequest, TaskSystem
from actors.errors import InvalidPayload, PayloadTooLarge, UnknownTaskType
from tests.app.world import refused


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Address:
    street: str
    number: int


@dataclasses.dataclass
class Person:
    name: str
    address: Address
    born: datetime | None = None


async def takes_int(value: int) -> int:
    return value


async def takes_float(value: float) -> float:
    return value


async def takes_bool(value: bool) -> bool:
    return value


async def takes_str(value: str) -> str:
    return value


async def takes_ints(value: list[int]) -> list[int]:
    return value


async def takes_anything(value: Any) -> Any:
    return value


async def takes_mapping(value: dict[str, Any]) -> dict[str, Any]:
    return value


async def takes_colour(value: Colour) -> Colour:
    return value


async def takes_person(value: Person) -> Person:
    return value


async def takes_moment(value: datetime) -> datetime:
    return value


async def takes_uuid(value: UUID) -> UUID:
    return value


async def takes_bytes(value: bytes) -> bytes:
    return value


async def takes_maybe(value: int | None = None) -> int | None:
    return value


HANDLERS: list[Callable[..., Any]] = [
    takes_int, takes_float, takes_bool, takes_str, takes_ints, takes_anything, takes_mapping, takes_colour,
    takes_person, takes_moment, takes_uuid, takes_bytes, takes_maybe,
]  # fmt: skip


@pytest.fixture
def declared(app: TaskSystem) -> TaskSystem:
    """A system that knows all of the handlers above."""
    for handler in HANDLERS:
        app.register_handler(handler.__name__, handler)
    return app


MISFITS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("takes_int", "5", ("value", '"5"', "int")),
    ("takes_int", 5.9, ("value", "5.9", "int")),
    ("takes_int", True, ("value", "True", "int")),
    ("takes_int", None, ("value", "None", "int")),
    ("takes_int", 2**64, ("value", "64 bit")),
    ("takes_int", -(2**63) - 1, ("value", "64 bit")),
    ("takes_float", "1.5", ("value", '"1.5"', "float")),
    ("takes_float", math.nan, ("value", "nan")),
    ("takes_float", math.inf, ("value", "inf")),
    ("takes_float", True, ("value", "True", "float")),
    ("takes_bool", 0, ("value", "0", "bool")),
    ("takes_bool", "false", ("value", '"false"', "bool")),
    ("takes_str", 5, ("value", "5", "str")),
    ("takes_ints", [1, "2"], ("value", '"2"', "int", "1")),
    ("takes_ints", "12", ("value", '"12"', "list")),
    ("takes_anything", {"deep": [1.0, math.nan]}, ("value", "deep", "nan")),
    ("takes_anything", {"deep": -math.inf}, ("value", "deep", "inf")),
    ("takes_anything", [2**70], ("value", "64 bit")),
    ("takes_anything", object(), ("value", "object")),
    ("takes_mapping", {1: "one"}, ("value", "1", "str")),
    ("takes_colour", "green", ("value", '"green"', "red")),
    ("takes_person", {"name": "Ada"}, ("value", "address")),
    ("takes_person", {"name": "Ada", "address": {"street": "x", "number": "5"}}, ("number", '"5"', "int")),
    ("takes_person", {"name": "Ada", "address": {"street": "x", "number": 5, "zip": 1}}, ("zip",)),
    ("takes_moment", "yesterday", ("value", '"yesterday"')),
    ("takes_uuid", "12", ("value", '"12"', "UUID")),
    ("takes_bytes", 7, ("value", "7", "bytes")),
    ("takes_maybe", "5", ("value", '"5"', "int")),
]


@pytest.mark.parametrize(("task_type", "value", "words"), MISFITS)
async def test_a_value_that_does_not_fit_is_refused_and_nothing_is_stored(
    declared: TaskSystem, task_type: str, value: Any, words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    async with declared.running():
        with refused(InvalidPayload, f"'{task_type}'", *words):
            await declared.submit(TaskRequest(task_type, {"value": value}))
        assert await declared.count() == 0


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, ("'value'", "missing")),
        ({"value": 1, "extra": 2}, ("'extra'",)),
        ({"valeu": 1}, ("valeu",)),
    ],
)
async def test_missing_and_extra_fields_are_refused(
    declared: TaskSystem, payload: Mapping[str, Any], words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    async with declared.running():
        with refused(InvalidPayload, "'takes_int'", *words):
            await declared.submit(TaskRequest("takes_int", payload))
        assert await declared.count() == 0


async def test_the_typed_submit_refuses_the_same_as_a_request(app: TaskSystem, autojump_clock: MockClock) -> None:
    declared = app.task(takes_int)
    async with app.running():
        with refused(InvalidPayload, "'takes_int'", "value", '"5"', "int"):
            await declared.submit("5")  # type: ignore[arg-type]  # what mypy would refuse is refused at run time too
        with refused(InvalidPayload, "'takes_int'", "'value'"):
            await declared.submit()  # type: ignore[call-arg]  # likewise
        assert await app.count() == 0


@pytest.mark.parametrize(
    ("task_type", "value"),
    [
        ("takes_int", 2**63 - 1),
        ("takes_int", -(2**63)),
        ("takes_float", 1.5),
        ("takes_float", 3),
        ("takes_bool", False),
        ("takes_str", "zwölf \N{SNOWMAN} \0 \u2028"),
        ("takes_anything", {"a": [1, None, {"b": "c"}]}),
        ("takes_colour", Colour.BLUE),
        ("takes_person", Person("Ada", Address("Elm", 5), datetime(1815, 12, 10, tzinfo=UTC))),
        ("takes_moment", datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)),
        ("takes_uuid", UUID(int=7)),
        ("takes_bytes", bytes(range(256))),
        ("takes_maybe", None),
        ("takes_maybe", 3),
    ],
)
async def test_annotations_are_honoured_on_the_way_in_and_out(
    declared: TaskSystem, task_type: str, value: object, autojump_clock: MockClock
) -> None:
    handler = next(handler for handler in HANDLERS if handler.__name__ == task_type)
    again = declared.register_handler("again", handler)
    async with declared.running():
        ticket = await again.submit(value)
        assert await ticket.result() == value


async def test_text_that_no_database_keeps_is_refused(declared: TaskSystem, autojump_clock: MockClock) -> None:
    async with declared.running():
        with refused(InvalidPayload, "'takes_str'", "value"):
            await declared.submit(TaskRequest("takes_str", {"value": "half a pair: \ud800"}))
        assert await declared.count() == 0


async def test_a_payload_that_is_too_large_names_size_limit_and_setting(autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(max_payload_bytes=100))
    declared = app.task(takes_str)
    async with app.running():
        await (await declared.submit("x" * 80)).result()
        with refused(PayloadTooLarge, "'takes_str'", "TASK_MAX_PAYLOAD_BYTES", "100", "132"):
            await declared.submit("ü" * 60)
        assert await app.count() == 1


async def test_an_unknown_type_gets_a_suggestion(declared: TaskSystem, autojump_clock: MockClock) -> None:
    async with declared.running():
        with refused(UnknownTaskType, "'takes_itn'", "did you mean 'takes_int'?"):
            await declared.submit(TaskRequest("takes_itn", {"value": 1}))
        with refused(UnknownTaskType, "'zzz'"):
            await declared.submit(TaskRequest("zzz"))
        assert await declared.count() == 0


async def test_metadata_is_strict_too(declared: TaskSystem, autojump_clock: MockClock) -> None:
    async with declared.running():
        request = TaskRequest("takes_int", {"value": 1}, metadata={"at": object()})
        with refused(InvalidPayload, "metadata"):
            await declared.submit(request)
        assert await declared.count() == 0

"""How one type is kept in JSON: a pair of functions, and what they take."""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

import attrs

from .misfit import Misfit, shown, unlike
from .strict import number, plain, text, whole

JSON_CLASSES: frozenset[type] = frozenset({str, int, float, bool, NoneType, list, dict})
SCALARS = JSON_CLASSES - {list, dict}


@attrs.frozen(eq=False)
class Shape:
    """How the values of one annotation are kept.

    Attributes:
        load: JSON to Python; raises `Misfit` (or what a user's own class raises) for all that does not fit exactly.
            The second argument is there for cattrs, and unused.
        dump: Python to JSON; leaves alone what it does not know, for `load` to refuse. So data that is JSON
            already, or in part, passes too.
        kinds: the JSON classes that values are stored as.
        python: the Python classes that *dump* knows.
        same: classes whose values need no `load` and no `dump`: only orjson's own checks.
    """

    load: Callable[..., Any]
    dump: Callable[[Any], Any]
    kinds: frozenset[type]
    python: frozenset[type]
    same: frozenset[type] = frozenset()


def unchanged(value: Any) -> Any:
    """*value*: for shapes that JSON has itself."""
    return value


def _null(value: Any, _: Any = None) -> None:
    if value is not None:
        raise unlike(value, "None")


def _flag(value: Any, _: Any = None) -> bool:
    if type(value) is not bool:
        raise unlike(value, "bool")
    return value


def _primitive(cls: type, load: Callable[..., Any], *, same: bool = True) -> Shape:
    own = frozenset({cls})
    return Shape(load, unchanged, kinds=own, python=own, same=own if same else frozenset())


def _as_text(cls: type, dump: Callable[[Any], str], parse: Callable[[str], object], wanted: str) -> Shape:
    """The shape of *cls*, kept as text. *parse* raises ValueError or ArithmeticError."""

    def load(value: Any, _: Any = None) -> object:
        try:
            return parse(text(value))
        except (ValueError, ArithmeticError, Misfit):
            raise unlike(value, wanted) from None

    def dump_own(value: Any) -> Any:
        return dump(value) if type(value) is cls else value

    return Shape(load, dump_own, kinds=frozenset({str}), python=frozenset({cls}))


def _parse_datetime(source: str) -> datetime:
    if len(source) <= len("2020-W01-1"):  # fromisoformat would take a bare date for midnight
        raise ValueError(source)
    return datetime.fromisoformat(source)


def _parse_decimal(source: str) -> Decimal:
    value = Decimal(source)
    if not value.is_finite():
        raise ValueError(source)
    return value


def _load_duration(value: Any, _: Any = None) -> timedelta:
    try:
        return timedelta(seconds=number(value))
    except (OverflowError, Misfit):
        raise unlike(value, "timedelta in seconds") from None


def _dump_duration(value: Any) -> Any:
    return value.total_seconds() if type(value) is timedelta else value


ANYTHING = Shape(plain, unchanged, kinds=JSON_CLASSES, python=JSON_CLASSES, same=frozenset({str, int, bool, NoneType}))

LEAVES: dict[Any, Shape] = {
    Any: ANYTHING,
    object: ANYTHING,
    NoneType: _primitive(NoneType, _null),
    bool: _primitive(bool, _flag),
    str: _primitive(str, text),
    int: _primitive(int, whole),
    float: _primitive(float, number, same=False),  # orjson would write NaN as null
    bytes: _as_text(
        bytes,
        lambda value: base64.b64encode(value).decode(),
        lambda source: base64.b64decode(source, validate=True),
        "bytes in base64",
    ),
    datetime: _as_text(datetime, datetime.isoformat, _parse_datetime, "datetime in ISO 8601"),
    date: _as_text(date, date.isoformat, date.fromisoformat, "date in ISO 8601"),
    time: _as_text(time, time.isoformat, time.fromisoformat, "time in ISO 8601"),
    timedelta: Shape(_load_duration, _dump_duration, kinds=frozenset({float}), python=frozenset({timedelta})),
    UUID: _as_text(UUID, str, UUID, "UUID"),
    Decimal: _as_text(Decimal, str, _parse_decimal, "a finite Decimal as text"),
}
"""The types that need no look inside. Datetimes keep their offset from UTC, or stay naive; a zone's name is lost."""


def enum_shape(cls: type[enum.Enum]) -> Shape | None:
    """Members are kept by value; None if a value is not a JSON scalar."""
    kinds = frozenset(type(member.value) for member in cls)
    if not kinds <= SCALARS:
        return None
    wanted = f"{cls.__name__}, one of {_choices([member.value for member in cls])}"

    def load(value: Any, _: Any = None) -> enum.Enum:
        if type(value) in kinds:  # an Enum would take True for 1
            try:
                return cls(value)
            except ValueError:
                pass
        raise unlike(value, wanted)

    def dump(value: Any) -> Any:
        return value.value if type(value) is cls else value

    return Shape(load, dump, kinds=kinds, python=frozenset({cls}))


def literal_shape(values: tuple[Any, ...]) -> Shape | None:
    """Each of *values* is kept as it is, enum members by value; None if one is not a JSON scalar."""
    stored = {value: value.value if isinstance(value, enum.Enum) else value for value in values}
    kinds = frozenset(type(value) for value in stored.values())
    if not kinds <= SCALARS:
        return None
    loads = {(type(kept), kept): value for value, kept in stored.items()}
    wanted = f"one of {_choices(list(stored.values()))}"

    def load(value: Any, _: Any = None) -> Any:
        if type(value) not in kinds or (type(value), value) not in loads:
            raise unlike(value, wanted)
        return loads[type(value), value]

    def dump(value: Any) -> Any:
        return value.value if isinstance(value, enum.Enum) and value in stored else value

    return Shape(load, dump, kinds=kinds, python=frozenset(type(value) for value in values))


def _choices(values: list[Any]) -> str:
    few = values[:10]
    return ", ".join(shown(value) for value in few) + (", …" if len(values) > len(few) else "")

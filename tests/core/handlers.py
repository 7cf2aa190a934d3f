"""Types and handlers that the codec's tests declare: at module level, so that their annotations resolve."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection, Mapping, MutableSequence, MutableSet, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, Optional, TypedDict, TypeVar
from uuid import UUID

import attrs
from typing_extensions import TypeAliasType

T = TypeVar("T")
Count = TypeAliasType("Count", int)
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Vast(enum.Enum):
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Tag(enum.StrEnum):
    NEW = "new"
    OLD = "old"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Line:
    sku: str
    qty: int
    due: datetime | None = None


@dataclass
class Order:
    lines: list[Line]
    colors: dict[str, Color] = field(default_factory=dict)


@attrs.define
class Node:
    value: int
    children: list[Node] = attrs.Factory(list)


@attrs.frozen
class Box(Generic[T]):
    content: T
    more: list[T] = attrs.Factory(list)


@attrs.frozen
class Circle:
    radius: float


@attrs.frozen
class Square:
    side: float


@attrs.frozen
class Even:  # type: ignore[no-untyped-def]
    _number: int = attrs.field()
    half: int = attrs.field(init=False, default=0)
    note = attrs.field(default=None)  # type: ignore[var-annotated]

    @_number.validator
    def _check(self, _: object, value: int) -> None:
        if value % 2:
            raise ValueError(f"{value} is odd")


class Options(TypedDict):
    depth: int
    label: NotRequired[Annotated[str, "shown"]]


ANNOTATIONS: dict[str, Any] = {
    "str": str,
    "int": int,
    "alias": Count,
    "float": float,
    "bool": bool,
    "none": None,
    "bytes": bytes,
    "datetime": datetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
    "enum": Color,
    "int enum": Level,
    "str enum": Tag,
    "flag": Access,
    "literal": Literal["a", 1, None, Tag.NEW],
    "new type": UserId,
    "annotated": Annotated[int, "a count"],
    "list": list[int],
    "bare list": list,
    "tuple": tuple[int, ...],
    "fixed tuple": tuple[int, str, date],
    "empty tuple": tuple[()],
    "set": set[int],
    "frozenset": frozenset[str],
    "deque": deque[int],
    "sequence": Sequence[int],
    "mutable sequence": MutableSequence[int],
    "collection": Collection[int],
    "abstract set": Set[int],
    "mutable set": MutableSet[int],
    "dict": dict[str, list[datetime]],
    "bare dict": dict,
    "dict by uuid": Mapping[UUID, Decimal],
    "optional": Optional[str],  # noqa: UP045
    "optional object": Line | None,
    "scalars": int | str | bool | None,
    "numbers": int | float,
    "number or text": float | str,
    "mixed": UUID | int | list[Color] | Line,
    "attrs": Line,
    "dataclass": Order,
    "recursive": Node,
    "generic": Box[datetime],
    "shapes": Circle | Square,
    "shapes or text": Circle | Square | str | None,
    "typed dict": Options,
    "any": Any,
    "object or none": object | None,
}

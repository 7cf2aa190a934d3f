"""From an annotation to its shape."""

from __future__ import annotations

import enum
import types
import typing
from collections import abc, deque
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

from .errors import InvalidOption
from .misfit import explain, key_step, unlike
from .records import is_record, record_shape, tell_apart
from .shapes import ANYTHING, LEAVES, Shape, enum_shape, literal_shape
from .strict import json_key

ARRAYS: dict[Any, tuple[Callable[[list[Any]], Any], frozenset[type]]] = {
    list: (list, frozenset({list})),
    tuple: (tuple, frozenset({tuple})),
    set: (set, frozenset({set})),
    frozenset: (frozenset, frozenset({frozenset})),
    deque: (deque, frozenset({deque})),
    abc.Sequence: (list, frozenset({list, tuple})),
    abc.MutableSequence: (list, frozenset({list})),
    abc.Collection: (list, frozenset({list, tuple, set, frozenset})),
    abc.Set: (frozenset, frozenset({set, frozenset})),
    abc.MutableSet: (set, frozenset({set})),
}
"""Annotation → what builds its value from a list, and the classes that it takes."""

MAPPINGS = frozenset({dict, abc.Mapping, abc.MutableMapping})


class Shapes:
    """Finds the shape of annotations; remembers records, which may hold themselves.

    Raises:
        InvalidOption: from `of`, for an annotation whose values cannot be kept in JSON and brought back exactly.
    """

    def __init__(self) -> None:
        self._records: dict[Any, Shape | None] = {}

    def of(self, annotation: Any) -> Shape:
        """The shape of *annotation*, whose names are resolved."""
        if annotation in LEAVES:
            return LEAVES[annotation]
        origin = get_origin(annotation) or annotation
        if origin in ARRAYS:
            return self._array(annotation, origin)
        if origin in MAPPINGS:
            return self._mapping(annotation)
        if origin in (Union, types.UnionType):
            return self._union(annotation)
        if is_record(origin):
            return self._record(annotation)
        return self._other(annotation, origin)

    def _other(self, annotation: Any, origin: Any) -> Shape:
        shape: Shape | None = None
        if origin is Literal:
            shape = literal_shape(get_args(annotation))
        elif isinstance(origin, type) and issubclass(origin, enum.Enum):
            shape = enum_shape(origin)
        elif origin in (typing.Annotated, typing.Required, typing.NotRequired):
            shape = self.of(get_args(annotation)[0])
        elif isinstance(origin, typing.NewType):
            shape = self.of(origin.__supertype__)
        elif type(origin).__name__ == "TypeAliasType":  # Python 3.12 has it
            shape = self.of(origin.__value__)
        if shape is None:
            raise InvalidOption(f"{_name(annotation)} cannot be kept in JSON")
        return shape

    def _array(self, annotation: Any, origin: Any) -> Shape:
        items = get_args(annotation)
        build, takes = ARRAYS[origin]
        if origin is tuple and annotation is not tuple and items[1:] != (Ellipsis,):
            return _fixed(_name(annotation), [self.of(item) for item in items])
        return _array(_name(annotation), build, takes, self.of(items[0]) if items else ANYTHING)

    def _mapping(self, annotation: Any) -> Shape:
        key, value = (self.of(item) for item in get_args(annotation) or (str, Any))
        if key.kinds != {str}:
            raise InvalidOption(f"{_name(annotation)} cannot be kept in JSON, where keys are text")
        return _mapping(_name(annotation), key, value)

    def _union(self, annotation: Any) -> Shape:
        members = [(item, self.of(item)) for item in get_args(annotation)]
        if any(shape is ANYTHING for _, shape in members):
            return ANYTHING
        records = tuple(item for item, _ in members if is_record(get_origin(item) or item))
        if len(records) > 1:
            members = [(item, shape) for item, shape in members if item not in records]
            members.append((Union[records], tell_apart(records, [self.of(item) for item in records])))  # noqa: UP007
        shapes = [shape for _, shape in members]
        return _union(_name(annotation), shapes) if len(shapes) > 1 else shapes[0]

    def _record(self, cls: Any) -> Shape:
        if cls not in self._records:
            self._records[cls] = None
            try:
                self._records[cls] = record_shape(cls, self.of)
            finally:
                if self._records[cls] is None:
                    del self._records[cls]
        return self._records[cls] or self._later(cls)

    def _later(self, cls: Any) -> Shape:
        """A stand-in for a record that is being looked at: one that holds itself."""

        def load(value: Any, _: Any = None) -> Any:
            return self._record(cls).load(value)

        def dump(value: Any) -> Any:
            return self._record(cls).dump(value)

        return Shape(load, dump, kinds=frozenset({dict}), python=frozenset({get_origin(cls) or cls}))


def _array(wanted: str, build: Callable[[list[Any]], Any], takes: frozenset[type], item: Shape) -> Shape:
    takes = takes | {list} if takes else takes
    unordered = takes & {set, frozenset}

    def load(value: Any, _: Any = None) -> Any:
        if type(value) is not list:
            raise unlike(value, wanted)
        place, elements = 0, []
        try:
            for place, element in enumerate(value):  # noqa: B007
                elements.append(item.load(element))
        except Exception as error:
            raise explain(error).within(f"[{place}]") from None
        return build(elements)

    def dump(value: Any) -> Any:
        if type(value) not in takes:
            return value
        elements = [item.dump(element) for element in value]
        return sorted(elements, key=repr) if type(value) in unordered else elements  # the same text in every process

    return Shape(load, dump, kinds=frozenset({list}), python=takes)


def _fixed(wanted: str, items: list[Shape]) -> Shape:
    """A tuple with a shape for each place."""

    def load(value: Any, _: Any = None) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise unlike(value, f"{wanted}, a list of {len(items)}")
        elements: list[Any] = []
        try:
            for item, element in zip(items, value, strict=True):
                elements.append(item.load(element))
        except Exception as error:
            raise explain(error).within(f"[{len(elements)}]") from None
        return tuple(elements)

    def dump(value: Any) -> Any:
        if type(value) not in (tuple, list) or len(value) != len(items):
            return value
        return [item.dump(element) for item, element in zip(items, value, strict=True)]

    return Shape(load, dump, kinds=frozenset({list}), python=frozenset({tuple}))


def _mapping(wanted: str, key: Shape, item: Shape) -> Shape:
    def load(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise unlike(value, wanted)
        members: dict[Any, Any] = {}
        for name, element in value.items():
            step = key_step(json_key(name))
            try:
                members[key.load(name)] = item.load(element)
            except Exception as error:
                raise explain(error).within(step) from None
        return members

    def dump(value: Any) -> Any:
        return {key.dump(name): item.dump(v) for name, v in value.items()} if type(value) is dict else value

    return Shape(load, dump, kinds=frozenset({dict}), python=frozenset({dict}))


def _union(wanted: str, members: list[Shape]) -> Shape:
    """Members are told apart by their JSON class alone, so that what is read is what was written."""
    by_kind: dict[type, Shape] = {}
    for member in members:
        for kind in member.kinds:
            if kind in by_kind:
                raise InvalidOption(f"{wanted}: two of these cannot be told apart in JSON, both are {kind.__name__}")
            by_kind[kind] = member
    loads = {kind: member.load for kind, member in by_kind.items()}
    if float in loads:
        loads.setdefault(int, loads[float])
    dumps = {cls: member.dump for member in members for cls in member.python}
    dumps = {kind: member.dump for kind, member in by_kind.items()} | dumps

    def load(value: Any, _: Any = None) -> Any:
        chosen = loads.get(type(value))
        if chosen is None:
            raise unlike(value, wanted)
        return chosen(value)

    def dump(value: Any) -> Any:
        chosen = dumps.get(type(value))
        return value if chosen is None else chosen(value)

    return Shape(
        load,
        dump,
        kinds=frozenset(by_kind),
        python=frozenset(dumps),
        same=frozenset().union(*(member.same for member in members)),
    )


def _name(annotation: Any) -> str:
    """*annotation* as a user wrote it, near enough."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(_name(member) for member in get_args(annotation))
    if annotation is types.NoneType:
        return "None"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)

"""Classes with fields: attrs classes and dataclasses through cattrs, and TypedDicts."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any, get_args, get_origin

import attrs
import cattrs
from cattrs.disambiguators import create_default_dis_func
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from .errors import InvalidOption
from .misfit import Misfit, explain, unknown_field, unlike
from .shapes import ANYTHING, Shape

_converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
"""Writes the functions for a class. Fields never go through its own, coercing hooks: each gets those of its shape."""


def is_record(cls: Any) -> bool:
    """Whether *cls* is a class with fields."""
    return typing.is_typeddict(cls) or (isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls)))


def record_shape(cls: Any, shape_of: Callable[[Any], Shape]) -> Shape:
    """The shape of *cls*, kept as a JSON object; an alias such as `Box[int]` too.

    *shape_of* gives the shapes of its fields.
    """
    fields = {name: shape_of(annotation) for name, annotation in _annotations(cls).items()}
    origin = get_origin(cls) or cls
    load_dict = _typed_dict(origin, fields) if typing.is_typeddict(origin) else _structure(cls, fields)
    dump_own = None if typing.is_typeddict(origin) else _unstructure(cls, fields)

    def load(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise unlike(value, f"{origin.__name__}, an object")
        return load_dict(value, cls)

    def dump(value: Any) -> Any:
        if dump_own is not None and type(value) is origin:
            return dump_own(value)
        if type(value) is dict:
            return {name: fields.get(name, ANYTHING).dump(field) for name, field in value.items()}
        return value

    return Shape(load, dump, kinds=frozenset({dict}), python=frozenset({dict if dump_own is None else origin}))


def tell_apart(classes: tuple[Any, ...], shapes: list[Shape]) -> Shape:
    """One shape for several classes, told apart by cattrs: by required fields that one alone has, or by literals."""
    try:
        choose = create_default_dis_func(_converter, *classes, overrides={})
    except (TypeError, ValueError, attrs.exceptions.NotAnAttrsClassError) as error:
        names = " | ".join(cls.__name__ for cls in classes)
        raise InvalidOption(f"{names}: these cannot be told apart in JSON ({error})") from None
    by_class = dict(zip(classes, shapes, strict=True))
    dumps = {cls: shape.dump for shape in shapes for cls in shape.python}

    def load(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise unlike(value, " | ".join(cls.__name__ for cls in classes))
        return by_class[choose(value)].load(value)

    def dump(value: Any) -> Any:
        chosen = dumps.get(type(value))
        return value if chosen is None else chosen(value)

    return Shape(load, dump, kinds=frozenset({dict}), python=frozenset(dumps))


def _structure(cls: Any, fields: dict[str, Shape]) -> Callable[[Any, Any], Any]:
    hooks = {name: override(struct_hook=shape.load) for name, shape in fields.items()}
    make: Any = make_dict_structure_fn
    made = make(cls, _converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **hooks)
    return typing.cast("Callable[[Any, Any], Any]", made)


def _typed_dict(cls: Any, fields: dict[str, Shape]) -> Callable[[Any, Any], Any]:
    """By hand: `__required_keys__` alone, which cattrs reads, is wrong where annotations are strings."""
    hints = typing.get_type_hints(cls, include_extras=True)
    required = [name for name, hint in hints.items() if _needed(cls, name, hint)]

    def load(value: dict[str, Any], _: Any) -> dict[str, Any]:
        loaded: dict[str, Any] = {}
        for name, field in value.items():
            if name not in fields:
                raise unknown_field(name, fields)
            try:
                loaded[name] = fields[name].load(field)
            except Exception as error:
                raise explain(error).within(f".{name}") from None
        missing = next((name for name in required if name not in loaded), None)
        if missing is not None:
            raise Misfit("is missing", f".{missing}")
        return loaded

    return load


def _needed(cls: Any, name: str, hint: Any) -> bool:
    said = get_origin(hint)
    return said is typing.Required or (said is not typing.NotRequired and name in cls.__required_keys__)


def _unstructure(cls: Any, fields: dict[str, Shape]) -> Callable[[Any], dict[str, Any]]:
    hooks = {name: override(unstruct_hook=shape.dump) for name, shape in fields.items()}
    make: Any = make_dict_unstructure_fn
    return typing.cast("Callable[[Any], dict[str, Any]]", make(cls, _converter, **hooks))


def _annotations(cls: Any) -> dict[str, Any]:
    """The fields of *cls* that are kept, with their annotations; those without one take any JSON."""
    origin = get_origin(cls) or cls
    hints = typing.get_type_hints(origin, include_extras=True)
    if typing.is_typeddict(origin):
        names = list(hints)
    else:
        described: Any = attrs.fields(origin) if attrs.has(origin) else dataclasses.fields(origin)
        names = [field.name for field in described if field.init]
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False))
    return {name: _filled(hints.get(name, Any), given) for name in names}


def _filled(annotation: Any, given: dict[Any, Any]) -> Any:
    """*annotation* with its type variables replaced: `list[T]` of `Box[int]` is `list[int]`."""
    if annotation in given:
        return given[annotation]
    wanted = getattr(annotation, "__parameters__", ())
    filled = tuple(given[variable] for variable in wanted if variable in given)
    return annotation[filled] if wanted and len(filled) == len(wanted) else annotation

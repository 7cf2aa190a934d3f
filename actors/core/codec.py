"""Payloads and results in strict JSON, by the annotations of a handler."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Never

import attrs
import orjson

from .annotations import Shapes
from .errors import InvalidOption, InvalidPayload, did_you_mean
from .misfit import Misfit, explain, quoted, shown
from .shapes import ANYTHING, Shape
from .strict import OPTIONS, dumps, loads

__all__ = ["Signature", "UnencodableResult", "as_json", "dumps", "loads"]

EMPTY = "{}"


class UnencodableResult(InvalidPayload):
    """A handler returned what its annotation does not allow, or what JSON cannot keep."""


@attrs.frozen
class Signature:
    """What a handler takes and gives: built once, when it is declared.

    Attributes:
        name: the task type, for messages.
        positional: the names that positional arguments fill, in order.
        fields: name → shape.
        required: the names without a default.
        extra: the shape of what `**kwargs` takes, or None.
        reserved: the name of the context parameter, which no payload may use.
        result: the shape of the return annotation, or None.
        shapes: finds the shapes of results without one.
    """

    name: str
    positional: tuple[str, ...]
    fields: Mapping[str, Shape]
    required: frozenset[str]
    extra: Shape | None
    reserved: str | None
    result: Shape | None
    shapes: Shapes

    @classmethod
    def of(cls, function: Callable[..., Any], *, skip_first: bool, name: str) -> Signature:
        """The signature of *function*, declared as *name*; without its first parameter if that is the context.

        Raises:
            InvalidOption: a parameter cannot be a payload's field (`*args`, positional only, an annotation
                that cannot be resolved or kept in JSON).
        """
        parameters = list(inspect.signature(function).parameters.values())
        reserved = parameters.pop(0).name if skip_first else None
        annotations, shapes = _annotations(function, name), Shapes()
        fields = {p.name: _field(p, annotations, shapes, name) for p in parameters}
        extra = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
        return cls(
            name=name,
            positional=tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD),
            extra=fields.pop(extra) if extra else None,
            fields=fields,
            required=frozenset(p.name for p in parameters if p.default is p.empty and p.name != extra),
            reserved=reserved,
            result=_result(annotations, shapes, name),
            shapes=shapes,
        )

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The JSON text of a call's arguments. Defaults are left out: those of the day it runs apply.

        Raises:
            InvalidPayload: an argument is missing, unknown or does not fit.
        """
        return self._write({**self._bound(args, kwargs), **kwargs} if args else kwargs)

    def check(self, data: Mapping[str, Any]) -> str:
        """The JSON text of *data*: JSON values, or the Python values that the handler gets. Raises as `encode`."""
        if not isinstance(data, Mapping):
            raise InvalidPayload(f"task {self.name!r}: the payload is {shown(data)}; it should be a mapping of fields")
        return self._write(data)

    def decode(self, source: str | bytes) -> dict[str, Any]:
        """The keyword arguments in stored JSON text.

        Raises:
            InvalidPayload: the payload no longer fits the handler.
        """
        if source == EMPTY and not self.required:
            return {}
        try:
            return self._read(source)
        except InvalidPayload as error:
            raise InvalidPayload(f"{error} (the stored payload no longer fits the handler)") from None

    def encode_result(self, value: Any) -> str:
        """The JSON text of what the handler returned.

        Raises:
            UnencodableResult: it does not fit the return annotation; or there is none and JSON cannot keep it.
        """
        if value is None and (self.result is None or type(None) in self.result.same):
            return "null"
        try:
            shape = self.result or ANYTHING
            kept = shape.dump(value if self.result else _by_runtime_type(value, self.shapes))
            shape.load(kept)
            return orjson.dumps(kept, option=OPTIONS).decode()
        except Exception as error:
            raise UnencodableResult(self._line("result", explain(error))) from None

    def decode_result(self, source: str | bytes | None) -> Any:
        """The result in stored JSON text, typed by the return annotation; None for no text.

        Raises:
            InvalidPayload: it no longer fits the annotation.
        """
        if source is None:
            return None
        try:
            value = orjson.loads(source)
            return self.result.load(value) if self.result else value
        except Exception as error:
            raise InvalidPayload(self._line("stored result", explain(error))) from None

    def _write(self, given: Mapping[str, Any]) -> str:
        if not given and not self.required:
            return EMPTY
        data: dict[str, Any] = {}
        for name, value in given.items():
            shape = self.fields.get(name) or self._extra(name)
            data[name] = value if type(value) in shape.same else self._dumped(name, shape, value)
        if not self.required <= data.keys():
            raise self._missing(data)
        try:
            return orjson.dumps(data, option=OPTIONS).decode()
        except TypeError as error:
            raise self._unwritable(data, error) from None

    def _read(self, source: str | bytes) -> dict[str, Any]:
        try:
            data = orjson.loads(source)
        except ValueError as error:
            raise InvalidPayload(f"task {self.name!r}: the payload is no JSON: {error}") from None
        if type(data) is not dict:
            raise InvalidPayload(f"task {self.name!r}: the payload is {shown(data)}; it should be an object")
        for name, value in data.items():
            shape = self.fields.get(name) or self._extra(name)
            if type(value) not in shape.same:
                data[name] = self._loaded(name, shape, value)
        if not self.required <= data.keys():
            raise self._missing(data)
        return data

    def _dumped(self, name: str, shape: Shape, value: Any) -> Any:
        """*value* in JSON, proven to be readable: what `submit` takes, `decode` takes."""
        try:
            kept = shape.dump(value)
        except Exception as error:
            raise InvalidPayload(self._line(f"field {name!r}", explain(error))) from None
        self._loaded(name, shape, kept)
        return kept

    def _loaded(self, name: str, shape: Shape, kept: Any) -> Any:
        try:
            return shape.load(kept)
        except Exception as error:
            misfit = explain(error)
            raise InvalidPayload(self._line(f"field '{name}{misfit.path}'", Misfit(misfit.problem))) from None

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.positional):
            raise InvalidPayload(
                f"task {self.name!r} takes {len(self.positional)} positional arguments; {len(args)} were given"
            )
        bound = dict(zip(self.positional, args, strict=False))
        if twice := bound.keys() & kwargs:
            raise InvalidPayload(f"task {self.name!r}: field {min(twice)!r} is given twice")
        return bound

    def _extra(self, name: Any) -> Shape:
        """The shape of a field that has no parameter of its own."""
        if self.extra is None or type(name) is not str or name == self.reserved:
            hint = did_you_mean(name, self.fields) if type(name) is str else "; fields have text for names"
            raise InvalidPayload(f"task {self.name!r} has no field {quoted(name)}{hint}")
        return self.extra

    def _missing(self, data: Mapping[str, Any]) -> InvalidPayload:
        name = next(name for name in self.fields if name in self.required and name not in data)
        return InvalidPayload(f"task {self.name!r}: field {name!r} is missing")

    def _unwritable(self, data: Mapping[str, Any], error: TypeError) -> InvalidPayload:
        """Why orjson refused *data*: the first value that is not strict JSON, else orjson's own words."""
        for name, value in data.items():
            self._loaded(name, ANYTHING, value)
        return InvalidPayload(f"task {self.name!r}: the payload is no JSON: {error}")

    def _line(self, what: str, misfit: Misfit) -> str:
        return f"task {self.name!r}: {what}{misfit.path} {misfit.problem}"


def _annotations(function: Callable[..., Any], name: str) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    annotated = function if inspect.isroutine(function) else type(function).__call__
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise InvalidOption(f"task {name!r}: an annotation cannot be resolved: {error}") from None


def _field(parameter: inspect.Parameter, annotations: dict[str, Any], shapes: Shapes, name: str) -> Shape:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
        what = "*" * (parameter.kind is parameter.VAR_POSITIONAL) + parameter.name
        raise InvalidOption(f"task {name!r}: parameter {what!r} is positional only; a payload's fields have names")
    return _shape(f"parameter {parameter.name!r}", annotations.get(parameter.name, Any), shapes, name)


def _result(annotations: dict[str, Any], shapes: Shapes, name: str) -> Shape | None:
    annotation = annotations.get("return", Any)
    untyped = (Any, object, Never, typing.NoReturn)
    return None if annotation in untyped else _shape("the result", annotation, shapes, name)


def _shape(what: str, annotation: Any, shapes: Shapes, name: str) -> Shape:
    try:
        return shapes.of(annotation)
    except (InvalidOption, NameError, TypeError) as error:
        raise InvalidOption(f"task {name!r}: {what}: {error}") from None


def as_json(value: Any) -> Any:
    """What JSON would keep of a value whose annotation is not known: what its class tells, or the value itself."""
    return _by_runtime_type(value, Shapes())


def _by_runtime_type(value: Any, shapes: Shapes) -> Any:
    """A result without an annotation, in JSON as far as its classes tell how."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return [_by_runtime_type(element, shapes) for element in value]
    if kind is dict:
        return {name: _by_runtime_type(element, shapes) for name, element in value.items()}
    try:
        return shapes.of(kind).dump(value)
    except InvalidOption:
        return value

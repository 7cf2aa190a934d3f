"""The cases of an operation: requests that the document allows, and requests that break one rule each."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote

import attrs

from actors.demo.errors import NoSample
from actors.demo.model import Case, CaseSet, Contract, Operation, Parameter
from actors.demo.negative import Misfits
from actors.demo.number import Amount
from actors.demo.sample import Sampler
from actors.demo.validation import Validation
from actors.demo.wire import decode, decode_body, encode, encode_body

MOST_NEGATIVE = 16  # cases of one operation
_NOT_SENT = {"accept", "content-type", "authorization"}  # OpenAPI: header parameters of these names are ignored
_AMOUNTS: tuple[tuple[str, Amount], ...] = (
    ("with all that is optional", "most"),
    ("with what is required", "least"),
    ("with some of what is optional", "any"),
)
_ABSENT = object()


@attrs.frozen
class _Inputs:
    """Values for a request: one for each parameter that is sent, and the body, if any."""

    values: dict[int, Any]
    body: Any = _ABSENT

    def without(self, index: int) -> _Inputs:
        return attrs.evolve(self, values={key: value for key, value in self.values.items() if key != index})

    def having(self, index: int, value: Any) -> _Inputs:
        return attrs.evolve(self, values={**self.values, index: value})


def generate(contract: Contract, index: int, seed: int) -> CaseSet:
    """The cases of one operation of *contract*; the same *seed* gives the same cases."""
    return _Generator(contract, contract.operations[index], seed).cases(index)


class _Generator:
    def __init__(self, contract: Contract, operation: Operation, seed: int) -> None:
        self._definitions = contract.definitions
        self._validation = Validation(contract.definitions)
        self._misfits = Misfits(contract.definitions)
        self._sampler = Sampler(contract.definitions, Random(f"{seed} {operation.title}"))
        self._operation = operation
        self._omitted: list[str] = []

    def cases(self, index: int) -> CaseSet:
        cases: list[Case] = []
        base: _Inputs | None = None
        for name, amount in _AMOUNTS:
            try:
                inputs = self._inputs(amount)
                self._add(cases, self._case(name, inputs, valid=True))
            except NoSample as error:
                self._omitted.append(f"{name}: {error}")
            else:
                base = base or inputs
        if base is not None:
            self._add_negative(cases, base)
        return CaseSet(index, cases, self._omitted)

    def _add_negative(self, cases: list[Case], base: _Inputs) -> None:
        allowed = len(cases) + MOST_NEGATIVE
        for name, inputs in self._broken(base):
            if len(cases) >= allowed:
                self._omitted.append(f"more than {MOST_NEGATIVE} ways to break it")
                return
            try:
                self._add(cases, self._case(name, inputs, valid=False))
            except NoSample as error:
                self._omitted.append(f"{name}: {error}")

    def _add(self, cases: list[Case], case: Case) -> None:
        if all(attrs.evolve(case, name=other.name) != other for other in cases):
            cases.append(case)

    def _inputs(self, amount: Amount) -> _Inputs:
        values = {}
        for index, parameter in enumerate(self._operation.parameters):
            if parameter.name.lower() in _NOT_SENT and parameter.place == "header":
                continue
            if parameter.required or amount == "most" or (amount == "any" and index % 2):
                values[index] = self._sendable(parameter, amount)
        body = self._operation.body
        if body is None or not (body.required or amount != "least"):
            return _Inputs(values)
        return _Inputs(values, self._sampler.sample(body.media.schema, amount))

    def _sendable(self, parameter: Parameter, amount: Amount) -> Any:
        """A value that comes back as itself from the text that carries it."""
        reason = NoSample(f"no value of {parameter.name} can be sent")
        for _ in range(5):
            value = self._sampler.sample(parameter.schema, amount)
            try:
                pairs = encode(parameter, value)
            except NoSample as error:
                reason = error
                continue
            if self._validation.fits(decode(parameter, pairs, self._definitions), parameter.schema):
                return value
        raise reason

    def _broken(self, base: _Inputs) -> Iterator[tuple[str, _Inputs]]:
        for index, parameter in enumerate(self._operation.parameters):
            if index in base.values:
                yield from self._broken_parameter(base, index, parameter)
        body = self._operation.body
        if body is None or base.body is _ABSENT:
            return
        if body.required:
            yield "no body", attrs.evolve(base, body=_ABSENT)
        for misfit in self._misfits.of(base.body, body.media.schema):
            if self._arrives_broken(misfit.value):
                yield f"body, {misfit}", attrs.evolve(base, body=misfit.value)

    def _broken_parameter(self, base: _Inputs, index: int, parameter: Parameter) -> Iterator[tuple[str, _Inputs]]:
        label = f"{parameter.place} parameter {parameter.name}"
        if parameter.required and parameter.place != "path":
            yield f"without {label}", base.without(index)
        for misfit in self._misfits.of(base.values[index], parameter.schema):
            try:
                arrived = decode(parameter, encode(parameter, misfit.value), self._definitions)
            except NoSample:
                continue  # what can't be sent is no way to break it
            if arrived is not None and not self._validation.fits(arrived, parameter.schema):
                yield f"{label}, {misfit}", base.having(index, misfit.value)

    def _arrives_broken(self, value: Any) -> bool:
        """Whether the body still breaks the schema once it was text: in a form, 1.5 and "1.5" are the same."""
        body = self._operation.body
        assert body is not None
        try:
            content = encode_body(body.media_type, value)
        except NoSample:
            return False
        schema = body.media.schema
        return not self._validation.fits(decode_body(body.media_type, content, schema, self._definitions), schema)

    def _case(self, name: str, inputs: _Inputs, *, valid: bool) -> Case:
        pairs = [
            (parameter, pair)
            for index, parameter in enumerate(self._operation.parameters)
            if index in inputs.values
            for pair in encode(parameter, inputs.values[index])
        ]
        body = self._operation.body if inputs.body is not _ABSENT else None
        if body is not None:
            encode_body(body.media_type, inputs.body)
        return Case(
            name=name,
            valid=valid,
            method=self._operation.method.upper(),
            path=_fill(self._operation.path, [pair for parameter, pair in pairs if parameter.place == "path"]),
            query=[pair for parameter, pair in pairs if parameter.place == "query"],
            headers=[pair for parameter, pair in pairs if parameter.place == "header"] + _cookies(pairs),
            media_type=None if body is None else body.media_type,
            body=None if body is None else inputs.body,
        )


def _fill(template: str, values: list[tuple[str, str]]) -> str:
    path = template
    for name, text in values:
        path = path.replace(f"{{{name}}}", quote(text, safe=""))
    if "{" in path:
        raise NoSample(f"the path {template} has a part that no parameter fills")
    return path


def _cookies(pairs: list[tuple[Parameter, tuple[str, str]]]) -> list[tuple[str, str]]:
    text = "; ".join(f"{name}={value}" for parameter, (name, value) in pairs if parameter.place == "cookie")
    return [("cookie", text)] if text else []

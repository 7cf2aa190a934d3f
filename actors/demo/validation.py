"""Does a value fit a schema? By jsonschema, which may look up nothing outside of the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry

from actors.demo.model import Schema

_NOWHERE: Registry[Any] = Registry()  # jsonschema's default one would fetch what it does not know


class Validation:
    """Checks values against schemas that share one set of definitions."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = dict(definitions)

    def fits(self, value: Any, schema: Schema) -> bool:
        return bool(self._validator(schema).is_valid(value))

    def misfit(self, value: Any, schema: Schema) -> str | None:
        """What is wrong with *value*, in one short line with the place in it; None if it fits."""
        error = next(iter(self._validator(schema).iter_errors(value)), None)
        if error is None:
            return None
        where = "/".join(str(part) for part in error.absolute_path)
        message = " ".join(error.message.split())
        message = message if len(message) <= 160 else f"{message[:100]} … {message[-50:]}"
        return f"{where}: {message}" if where else message

    def _validator(self, schema: Schema) -> Draft202012Validator:
        whole = {**schema, "$defs": self._definitions}
        return Draft202012Validator(whole, registry=_NOWHERE, format_checker=FormatChecker())

"""Schemas as OpenAPI 3.0 and 3.1 write them, turned into JSON Schema 2020-12 that stands by itself.

Every reference becomes `#/$defs/<name>`; what it leads to is collected under that name. So nothing that checks or
samples a value later needs the document, or could be led to another file or host by one.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actors.demo.errors import ReferenceFault
from actors.demo.keywords import WELL_FORMED
from actors.demo.model import Fault, Schema
from actors.demo.references import Node, References

_ONE = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")


class Schemas:
    """Converts schemas of one document, and collects what they refer to and what is wrong with them.

    After the last `convert`, call `finish` once; then `definitions` and `faults` are whole.
    """

    def __init__(self, references: References, *, is_3_0: bool) -> None:
        self.definitions: dict[str, Schema] = {}
        self.faults: list[Fault] = []
        self._references = references
        self._is_3_0 = is_3_0
        self._names: dict[tuple[Path, str], str] = {}
        self._waiting: list[tuple[str, Node]] = []

    def convert(self, node: Node) -> Schema:
        """*node* as JSON Schema. What can't be used is left out, so that it allows anything, and is a fault."""
        if isinstance(node.value, bool):
            return {} if node.value else {"not": {}}
        if not isinstance(node.value, dict):
            self._fault(node, "a schema must be an object")
            return {}
        if node.reference is not None:
            return self._refer(node)
        return self._members(node)

    def define(self, node: Node) -> None:
        """Take *node* in by its name, though nothing may refer to it."""
        self._name(node)

    def finish(self) -> None:
        """Convert what was referred to, and what that refers to; cut references that would never end."""
        while self._waiting:
            name, node = self._waiting.pop()
            self.definitions[name] = self.convert(node)
        self._cut_endless()

    def _refer(self, node: Node) -> Schema:
        siblings = {} if self._is_3_0 else self._members(node)
        try:
            target = self._references.step(node)
        except ReferenceFault:  # told once for the whole document, with all other references
            return siblings
        return {"$ref": f"#/$defs/{self._name(target)}", **siblings}

    def _name(self, target: Node) -> str:
        if target.place not in self._names:
            wanted = re.sub(r"[^A-Za-z0-9_.-]", "_", target.pointer.removeprefix("/components/schemas/")) or "root"
            name = wanted if wanted not in self.definitions else f"{wanted}.{len(self._names)}"
            self._names[target.place] = name
            self.definitions[name] = {}
            self._waiting.append((name, target))
        return self._names[target.place]

    def _members(self, node: Node) -> Schema:
        schema: Schema = {}
        for key, child in node.items():
            self._member(schema, key, child)
        if self._is_3_0:
            return _from_3_0(schema, node.value)
        if "example" in node.value:
            schema["examples"] = [node.value["example"], *schema.get("examples", [])]
        return schema

    def _member(self, schema: Schema, key: str, child: Node) -> None:
        if key in _ONE:
            schema[key] = self.convert(child)
        elif key in _MANY and isinstance(child.value, list) and child.value:
            schema[key] = [self.convert(element) for element in child.elements()]
        elif key in _NAMED and isinstance(child.value, dict):
            schema[key] = {name: self.convert(member) for name, member in child.items()}
        elif key in _MANY or key in _NAMED:
            self._fault(child, f"{key} must be {'a list of schemas' if key in _MANY else 'an object of schemas'}")
        elif key in WELL_FORMED and not (self._is_3_0 and key in ("exclusiveMinimum", "exclusiveMaximum")):
            if WELL_FORMED[key](child.value):
                schema[key] = child.value
            else:
                self._fault(child, f"{key} can't be {_short(child.value)}")

    def _cut_endless(self) -> None:
        while True:
            graph = {name: set(_applied(schema)) for name, schema in self.definitions.items()}
            try:
                graphlib.TopologicalSorter(graph).prepare()
            except graphlib.CycleError as error:
                name = error.args[1][0]
                self.faults.append(Fault("schema", f"#/$defs/{name}", f"the schema {name} is made of itself"))
                self.definitions[name] = {}
            else:
                return

    def _fault(self, node: Node, message: str) -> None:
        self.faults.append(Fault("schema", f"#{node.pointer}", message))


def _from_3_0(schema: Schema, value: dict[str, Any]) -> Schema:
    """Put what OpenAPI 3.0 says in words of its own as JSON Schema says it."""
    if "example" in value:
        schema["examples"] = [value["example"]]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if value.get(exclusive) is True and bound in schema:
            schema[exclusive] = schema.pop(bound)
    return _nullable(schema) if value.get("nullable") is True else schema


def _nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if None not in schema.get("enum", [None]):
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _applied(schema: Schema) -> Iterator[str]:
    """The definitions that a value of *schema* must be checked against at once, not only parts of the value."""
    if "$ref" in schema:
        yield definition_name(schema)
    for key in _IN_PLACE:
        inner = schema.get(key, [])
        for part in inner if isinstance(inner, list) else [inner]:
            yield from _applied(part)


def definition_name(schema: Schema) -> str:
    """The name that a converted schema's `$ref` leads to."""
    return str(schema["$ref"]).removeprefix("#/$defs/")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"

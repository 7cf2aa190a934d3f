"""A document turned into a contract: its operations with plain schemas, its faults, and counts of what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.demo.document import Document
from actors.demo.errors import DocumentError, ReferenceFault
from actors.demo.faults import find_faults
from actors.demo.model import METHODS, Answer, Body, Contract, Media, Operation, Parameter, Schema
from actors.demo.references import Node, References
from actors.demo.schemas import Schemas

_SENDABLE = ("application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream")
_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}


def analyse(document: Document) -> Contract:
    """Everything that the later steps need to know of *document*.

    Raises:
        DocumentError: it has no operation, so that there is nothing to do.
    """
    references = References(document)
    schemas = Schemas(references, is_3_0=document.is_3_0)
    operations = list(_Reader(references, schemas).operations())
    if not operations:
        raise DocumentError("has no operations: there is nothing to test")
    for _, node in _members(references.root, "components", "schemas"):
        schemas.define(node)
    schemas.finish()
    info = document.data.get("info", {})
    return Contract(
        title=str(info.get("title", document.path.stem)),
        version=str(info.get("version", "")),
        openapi=document.version,
        operations=operations,
        definitions=schemas.definitions,
        faults=find_faults(document, references, operations, schemas),
        counts=_count(references, operations),
    )


class _Reader:
    """Reads operations; parts that are missing or can't be followed are left out, and the faults tell of them."""

    def __init__(self, references: References, schemas: Schemas) -> None:
        self._references = references
        self._schemas = schemas

    def operations(self) -> Iterator[Operation]:
        for path, entry in _members(self._references.root, "paths"):
            item = self._follow(entry)
            if path.startswith("/") and item is not None:
                for method in METHODS:
                    node = item.get(method)
                    if node is not None and isinstance(node.value, dict):
                        yield self._operation(method, path, item, node)

    def _operation(self, method: str, path: str, item: Node, node: Node) -> Operation:
        name = node.value.get("operationId")
        return Operation(
            method=method,
            path=path,
            operation_id=name if isinstance(name, str) else None,
            pointer=f"#{node.pointer}",
            parameters=self._parameters(item, node),
            body=self._body(node),
            answers=self._answers(node),
        )

    def _parameters(self, item: Node, node: Node) -> list[Parameter]:
        found: dict[tuple[str, str], Parameter] = {}
        for owner in (item, node):  # an operation's own parameters replace those of its path
            for entry in _elements(owner, "parameters"):
                target = self._follow(entry)
                parameter = self._parameter(target) if target is not None else None
                if parameter is not None:
                    found[parameter.name, parameter.place] = parameter
        return list(found.values())

    def _parameter(self, node: Node) -> Parameter | None:
        value = node.value
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or value.get("in") not in _STYLES:
            return None
        style = str(value.get("style", _STYLES[value["in"]]))
        content = next(iter(_members(node, "content")), None)
        holder = node if content is None else content[1]
        schema, examples = self._schema(holder), self._examples(holder)
        return Parameter(
            name=value["name"],
            place=value["in"],
            required=value.get("required") is True or value["in"] == "path",
            schema={"allOf": [schema], "examples": examples} if examples else schema,
            style=style,
            explode=bool(value.get("explode", style in ("form", "deepObject"))),
            as_json=content is not None,
        )

    def _body(self, node: Node) -> Body | None:
        entry = node.get("requestBody")
        target = None if entry is None else self._follow(entry)
        media = {} if target is None else self._media(target)
        if target is None or not media:
            return None
        chosen = min(media, key=_preference)
        return Body(target.value.get("required") is True, chosen, media[chosen])

    def _answers(self, node: Node) -> list[Answer]:
        found = []
        for status, entry in _members(node, "responses"):
            target = self._follow(entry)
            if target is not None and not status.startswith("x-"):
                found.append(Answer(status, self._media(target)))
        return found

    def _media(self, node: Node) -> dict[str, Media]:
        return {name: Media(self._schema(entry), self._examples(entry)) for name, entry in _members(node, "content")}

    def _schema(self, holder: Node) -> Schema:
        node = holder.get("schema")
        return {} if node is None else self._schemas.convert(node)

    def _examples(self, holder: Node) -> list[Any]:
        single = holder.get("example")
        found = [] if single is None else [single.value]
        for _, entry in _members(holder, "examples"):
            target = self._follow(entry)
            if target is not None and isinstance(target.value, dict) and "value" in target.value:
                found.append(target.value["value"])
        return found

    def _follow(self, node: Node) -> Node | None:
        try:
            return self._references.follow(node)
        except ReferenceFault:  # told once for the whole document, with all other references
            return None


def _members(node: Node, *keys: str) -> Iterator[tuple[str, Node]]:
    """The members of the object that lies at *keys* below *node*; none where there is no such object."""
    found: Node | None = node
    for key in keys:
        found = None if found is None else found.get(key)
    return iter(()) if found is None else found.items()


def _elements(node: Node, key: str) -> Iterator[Node]:
    found = node.get(key)
    return iter(()) if found is None else found.elements()


def _preference(media_type: str) -> int:
    plain = media_type.partition(";")[0].strip().lower()
    if plain.endswith("+json"):
        plain = "application/json"
    return _SENDABLE.index(plain) if plain in _SENDABLE else len(_SENDABLE)


def _count(references: References, operations: list[Operation]) -> dict[str, int]:
    return {
        "paths": sum(path.startswith("/") for path, _ in _members(references.root, "paths")),
        "operations": len(operations),
        "parameters": sum(len(operation.parameters) for operation in operations),
        "request_bodies": sum(operation.body is not None for operation in operations),
        "responses": sum(len(operation.answers) for operation in operations),
        "schemas": sum(1 for _ in _members(references.root, "components", "schemas")),
        "references": sum(1 for _ in references.every()),
    }

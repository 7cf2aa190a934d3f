"""What is wrong in a document: each check is one function, and `find_faults` runs them all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from actors.demo.document import Document
from actors.demo.errors import ReferenceFault
from actors.demo.model import Fault, Media, Operation, Schema, is_json
from actors.demo.references import Node, References
from actors.demo.schemas import Schemas
from actors.demo.validation import Validation

_STATUS = re.compile(r"[1-5]([0-9]{2}|XX)|default")


def find_faults(
    document: Document, references: References, operations: list[Operation], schemas: Schemas
) -> list[Fault]:
    """All faults, in the order of the checks; *schemas* is finished."""
    validation = Validation(schemas.definitions)
    found = [Fault("repeated key", "#", f"the key {key!r} stands twice in one object") for key in document.repeated]
    found += _references(references)
    found += schemas.faults
    found += _operation_ids(operations)
    for operation in operations:
        found += _path_parameters(operation)
        found += _answers(operation)
        found += _media_examples(operation, validation)
    for pointer, where, schema in _schemas(operations, schemas.definitions):
        found += _schema_examples(pointer, where, schema, validation)
        found += _arrays(pointer, where, schema)
    found += _unused(document.data, references)
    return list(dict.fromkeys(found))


def _references(references: References) -> Iterator[Fault]:
    for node in references.every():
        try:
            references.follow(node)
        except ReferenceFault as error:
            yield Fault("reference", f"#{node.pointer}", str(error))


def _operation_ids(operations: list[Operation]) -> Iterator[Fault]:
    uses = Counter(operation.operation_id for operation in operations if operation.operation_id is not None)
    for operation in operations:
        if operation.operation_id is not None and uses[operation.operation_id] > 1:
            times = uses[operation.operation_id]
            yield Fault("operationId", operation.pointer, f"{operation.operation_id!r} names {times} operations")


def _path_parameters(operation: Operation) -> Iterator[Fault]:
    in_path = set(re.findall(r"{([^{}]*)}", operation.path))
    declared = {parameter.name for parameter in operation.parameters if parameter.place == "path"}
    for name in sorted(in_path - declared):
        yield Fault("parameter", operation.pointer, f"{operation.title}: {{{name}}} of the path is not declared")
    for name in sorted(declared - in_path):
        yield Fault("parameter", operation.pointer, f"{operation.title}: {name!r} is declared, but not in the path")


def _answers(operation: Operation) -> Iterator[Fault]:
    if not operation.answers:
        yield Fault("response", operation.pointer, f"{operation.title} documents no response")
        return
    for answer in operation.answers:
        if not _STATUS.fullmatch(answer.status):
            yield Fault("response", operation.pointer, f"{operation.title}: {answer.status!r} is no status code")
    takes_input = bool(operation.parameters or operation.body)
    if takes_input and operation.answer(400) is None and operation.answer(422) is None:
        yield Fault("response", operation.pointer, f"{operation.title} does not say what a malformed request gets")


def _media_examples(operation: Operation, validation: Validation) -> Iterator[Fault]:
    for what, kinds in _media(operation):
        for kind, entry in kinds.items():
            for problem in _misfits(entry.examples, entry.schema, validation) if is_json(kind) else ():
                yield Fault("example", operation.pointer, f"{operation.title}, example of the {what}: {problem}")


def _media(operation: Operation) -> Iterator[tuple[str, dict[str, Media]]]:
    for answer in operation.answers:
        yield f"response {answer.status}", answer.media
    if operation.body is not None:
        yield "request body", {operation.body.media_type: operation.body.media}


def _schemas(operations: list[Operation], definitions: dict[str, Schema]) -> Iterator[tuple[str, str, Schema]]:
    """Each schema that has no other schema around it: its pointer, a readable name of its place, and itself."""
    for name, schema in definitions.items():
        yield f"#/$defs/{name}", name, schema
    for operation in operations:
        for parameter in operation.parameters:
            yield operation.pointer, f"of {parameter.name} ({operation.title})", parameter.schema
        for what, kinds in _media(operation):
            for entry in kinds.values():
                yield operation.pointer, f"of the {what} ({operation.title})", entry.schema


def _schema_examples(pointer: str, where: str, schema: Schema, validation: Validation) -> Iterator[Fault]:
    for place, part in _parts(schema, where):
        for problem in _misfits(part.get("examples", []), part, validation):
            yield Fault("example", pointer, f"example of the schema {place}: {problem}")


def _arrays(pointer: str, where: str, schema: Schema) -> Iterator[Fault]:
    for place, part in _parts(schema, where):
        if part.get("type") == "array" and "items" not in part and "prefixItems" not in part:
            yield Fault("schema", pointer, f"the array {place} does not say what its items are")


def _misfits(examples: list[Any], schema: Schema, validation: Validation) -> Iterator[str]:
    for example in examples:
        problem = validation.misfit(example, schema)
        if problem is not None:
            yield problem


def _parts(schema: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    """*schema* and the schemas within it, each with a readable name of its place."""
    yield where, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _parts(inner, f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _parts(schema[key], f"{where}[]")
    for key in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(key, ()):
            yield from _parts(inner, where)


def _unused(data: dict[str, Any], references: References) -> Iterator[Fault]:
    used = {pointer for pointer in map(_target, references.every()) if pointer is not None}
    for kind, members in data.get("components", {}).items():
        names = members if isinstance(members, dict) and kind != "securitySchemes" else {}
        for name in names:
            pointer = f"/components/{kind}/{name.replace('~', '~0').replace('/', '~1')}"
            if not any(other == pointer or other.startswith(f"{pointer}/") for other in used):
                yield Fault("unused", f"#{pointer}", f"nothing refers to the {kind} entry {name!r}")


def _target(node: Node) -> str | None:
    """The JSON pointer in the document that *node* refers to from outside of that place; None for other places."""
    file, _, pointer = (node.reference or "").partition("#")
    inside = node.pointer == pointer or node.pointer.startswith(f"{pointer}/")
    return None if file or inside else pointer

"""Places in documents, and where their references lead. Nothing is fetched, and nothing outside the folder is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs

from actors.demo.document import Document, read_value
from actors.demo.errors import DocumentError, ReferenceFault

_DATA = frozenset({"example", "default", "enum", "const", "value"})  # a "$ref" within these is only data
_MAPS = {  # their keys are names that somebody chose, such as a property that is called "value"
    *("properties", "patternProperties", "dependentSchemas", "$defs", "schemas", "parameters", "headers", "responses"),
    *("requestBodies", "examples", "links", "callbacks", "pathItems", "paths", "webhooks", "content", "encoding"),
}


@attrs.frozen
class Node:
    """A value, and its place: the file and the JSON pointer in it."""

    value: Any
    file: Path
    pointer: str = ""

    def child(self, key: str | int) -> Node:
        """The value under *key*, which must be there."""
        return Node(self.value[key], self.file, f"{self.pointer}/{_escape(str(key))}")

    def get(self, key: str) -> Node | None:
        """The value under *key*, or None where this is no object or has no such key."""
        return self.child(key) if isinstance(self.value, dict) and key in self.value else None

    def items(self) -> Iterator[tuple[str, Node]]:
        """The members of an object; of anything else, none."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield key, self.child(key)

    def elements(self) -> Iterator[Node]:
        """The elements of a list; of anything else, none."""
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self.child(index)

    @property
    def reference(self) -> str | None:
        reference = self.value.get("$ref") if isinstance(self.value, dict) else None
        return reference if isinstance(reference, str) else None

    @property
    def place(self) -> tuple[Path, str]:
        return self.file, self.pointer


class References:
    """Follows the references of one document, within its folder."""

    def __init__(self, document: Document) -> None:
        self.root = Node(document.data, document.path)
        self._folder = document.path.parent
        self._files: dict[Path, Any] = {document.path: document.data}

    def follow(self, node: Node) -> Node:
        """*node*, or what it refers to through any number of references.

        Raises:
            ReferenceFault: a reference is remote, leaves the folder, leads nowhere, or back to itself.
        """
        seen = set()
        while node.reference is not None:
            if node.place in seen:
                raise ReferenceFault(f"{node.reference} leads back to itself")
            seen.add(node.place)
            node = self.step(node)
        return node

    def step(self, node: Node) -> Node:
        """What *node* refers to, through one reference.

        Raises:
            ReferenceFault: as for `follow`.
        """
        reference = node.reference or ""
        where, _, fragment = reference.partition("#")
        if "://" in where or where.startswith("//"):
            raise ReferenceFault(f"{reference} is remote; it is not followed")
        file = self._file(node.file, where, reference)
        return self._walk(Node(self._files[file], file), unquote(fragment), reference)

    def _file(self, origin: Path, where: str, reference: str) -> Path:
        if not where:
            return origin
        try:
            file = (origin.parent / unquote(where)).resolve()
            if not file.is_relative_to(self._folder):
                raise ReferenceFault(f"{reference} leads out of the document's folder; it is not followed")
            if file not in self._files:
                self._files[file] = read_value(file)[0]
        except (DocumentError, ValueError, OSError) as error:
            raise ReferenceFault(f"{reference} can't be followed: the file {error}") from None
        return file

    def _walk(self, node: Node, fragment: str, reference: str) -> Node:
        if fragment and not fragment.startswith("/"):
            raise ReferenceFault(f"{reference} names an anchor; only JSON pointers (#/…) are followed")
        for part in fragment.split("/")[1:]:
            node = self._into(node, part.replace("~1", "/").replace("~0", "~"), reference)
        return node

    def _into(self, node: Node, key: str, reference: str) -> Node:
        if isinstance(node.value, dict) and key in node.value:
            return node.child(key)
        if isinstance(node.value, list) and key.isdecimal() and int(key) < len(node.value):
            return node.child(int(key))
        raise ReferenceFault(f"{reference} leads nowhere")

    def every(self) -> Iterator[Node]:
        """Each node with a reference, in the document and in what it refers to in other files."""
        waiting, seen = [self.root], {self.root.place}
        while waiting:
            for node in _with_reference(waiting.pop()):
                yield node
                try:
                    target = self.step(node)
                except ReferenceFault:
                    continue
                if target.file != self.root.file and target.place not in seen:
                    seen.add(target.place)
                    waiting.append(target)


def _with_reference(top: Node) -> Iterator[Node]:
    waiting = [(top, False)]
    while waiting:
        node, is_map = waiting.pop()
        if node.reference is not None:
            yield node
        waiting += [(child, key in _MAPS and not is_map) for key, child in node.items() if is_map or key not in _DATA]
        waiting += [(element, False) for element in node.elements()]


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

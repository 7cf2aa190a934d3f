"""One OpenAPI document, read from a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import attrs

from actors.demo.errors import DocumentError
from actors.demo.parse import parse

MAX_BYTES = 10_000_000
SUFFIXES = (".yaml", ".yml", ".json")


@attrs.frozen
class Document:
    """An OpenAPI 3.0 or 3.1 document.

    `repeated` are keys that a mapping has twice: the later value was taken.
    """

    path: Path
    data: dict[str, Any]
    repeated: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return str(self.data["openapi"])

    @property
    def is_3_0(self) -> bool:
        """Its schemas are OpenAPI 3.0's own dialect; those of 3.1 are JSON Schema."""
        return self.version.startswith("3.0")


def load(path: Path) -> Document:
    """Read the document at *path*.

    Raises:
        DocumentError: the file is missing, too large, broken, or no OpenAPI 3.0 or 3.1 document.
    """
    data, repeated = read_value(path)
    _refuse_other_versions(data)
    return Document(path.resolve(), data, tuple(repeated))


def read_value(path: Path) -> tuple[Any, list[str]]:
    """What the file holds, and its repeated keys; for documents and for what they refer to."""
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DocumentError(f"is no UTF-8 text (byte {error.start})") from None
    return parse(text.removeprefix("\ufeff"), as_json=path.suffix == ".json")


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        DocumentError: it is missing, not a plain file, not readable, or over 10 MB.
    """
    try:
        if not path.exists():
            raise DocumentError("does not exist")
        if path.is_dir():
            raise DocumentError(f"is a folder without {', '.join(SUFFIXES)} files")
        if not path.is_file():
            raise DocumentError("is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise DocumentError(f"is larger than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror}") from None


def fingerprint(content: bytes) -> str:
    """A short text that changes with the content."""
    return hashlib.sha256(content).hexdigest()[:16]


def _refuse_other_versions(data: Any) -> None:
    if not isinstance(data, dict):
        raise DocumentError(f"is not an OpenAPI document: it holds {_kind(data)}, not an object")
    if "swagger" in data:
        raise DocumentError(f"is Swagger {data['swagger']}; this reads OpenAPI 3.0 and 3.1")
    if "openapi" not in data:
        raise DocumentError("is not an OpenAPI document: it has no field 'openapi'")
    if not str(data["openapi"]).startswith(("3.0", "3.1")):
        raise DocumentError(f"is OpenAPI {data['openapi']}; this reads OpenAPI 3.0 and 3.1")
    for field in ("paths", "components", "info"):
        if not isinstance(data.get(field, {}), dict):
            raise DocumentError(f"is not an OpenAPI document: its {field!r} is {_kind(data[field])}, not an object")


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", dict: "an object"}
    return names.get(type(value), "nothing")

"""The files that steps leave for the next ones: values as JSON, each file whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import cattrs

T = TypeVar("T")

_converter = cattrs.Converter()


def save(path: Path, value: Any) -> None:
    """Write *value*, built of attrs classes and plain values, as JSON to *path*."""
    write(path, json.dumps(_converter.unstructure(value), indent=1, ensure_ascii=False))


def read(path: Path, kind: type[T]) -> T:
    """The value of *kind* that `save` wrote to *path*."""
    return _converter.structure(json.loads(path.read_text("utf-8")), kind)


def write(path: Path, text: str) -> None:
    """Write *text* to *path* so that a reader, also after a crash, finds all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

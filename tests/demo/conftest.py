from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "openapi"


@pytest.fixture
def real_documents() -> Path:
    """The folder of real OpenAPI documents, which lies beside the project and is no part of it."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not here")
    return REAL


@pytest.fixture
def document_at(tmp_path: Path) -> Callable[..., Path]:
    """Writes a document: one operation that answers with *schema*, and what else is given."""

    def write(paths: dict[str, Any] | None = None, *, version: str = "3.1.0", **parts: Any) -> Path:
        default = {"/things": {"get": {"responses": {"200": {"description": "fine"}}}}}
        data = {"openapi": version, "info": {"title": "Things", "version": "1"}, "paths": paths or default, **parts}
        path = tmp_path / "things.json"
        path.write_text(json.dumps(data))
        return path

    return write

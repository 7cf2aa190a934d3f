from __future__ import annotations

from pathlib import Path

import pytest

from actors.demo.document import MAX_BYTES, load
from actors.demo.errors import DocumentError


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b'{"swagger": "2.0"}', "^is Swagger 2.0; this reads OpenAPI 3.0 and 3.1$"),
        ("a.yaml", b"openapi: 3.2.0", "^is OpenAPI 3.2.0; this reads OpenAPI 3.0 and 3.1$"),
        ("a.yaml", b"- 1", "it holds a list, not an object"),
        ("a.yaml", b"", "it holds nothing, not an object"),
        ("a.yaml", b"title: x", "has no field 'openapi'"),
        ("a.yaml", b"openapi: 3.1.0\npaths: []", "its 'paths' is a list, not an object"),
        ("a.yaml", b"\xff\xfe", "is no UTF-8 text"),
        ("a.yaml", b"#" * (MAX_BYTES + 1), "is larger than 10 MB"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=reason):
        load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="does not exist"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(DocumentError, match="is a folder without"):
        load(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"openapi": "3.0.3"}', "utf-8")
    assert load(path).is_3_0


def test_real_documents_are_read_and_swagger_2_is_refused(real_documents: Path) -> None:
    versions = {}
    for path in sorted(real_documents.glob("*.[jy]*")):
        try:
            versions[path.name] = load(path).version
        except DocumentError as error:
            versions[path.name] = str(error)
    assert versions == {
        "box-v2025.json": "3.0.2",
        "petstore.yaml": "3.0.4",
        "tictactoe.yaml": "3.1.0",
        "uber-swagger2.json": "is Swagger 2.0; this reads OpenAPI 3.0 and 3.1",
        "uspto.yaml": "3.0.1",
    }

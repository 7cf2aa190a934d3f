from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.demo.analyse import analyse
from actors.demo.document import load
from actors.demo.model import Contract

Write = Callable[..., Path]


def contract_of(write: Write, reference: str, **components: object) -> Contract:
    answer = {"description": "fine", "content": {"application/json": {"schema": {"$ref": reference}}}}
    paths = {"/things": {"get": {"responses": {"200": answer}}}}
    return analyse(load(write(paths, components=components)))


def reference_faults(contract: Contract) -> list[str]:
    return [fault.message for fault in contract.faults if fault.kind == "reference"]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("https://example.com/a.json#/Pet", "is remote; it is not followed"),
        ("//example.com/a.json", "is remote; it is not followed"),
        ("file:///etc/passwd", "is remote; it is not followed"),
        ("../secret.json#/Pet", "leads out of the document's folder; it is not followed"),
        ("%2e%2e/secret.json", "leads out of the document's folder; it is not followed"),
        ("/etc/passwd", "leads out of the document's folder; it is not followed"),
        ("link.json", "leads out of the document's folder; it is not followed"),
        ("missing.json", "can't be followed: the file does not exist"),
        ("#/components/schemas/Nobody", "leads nowhere"),
        ("#Anchor", "names an anchor"),
        ("a\0b", "can't be followed"),
    ],
)
def test_a_reference_that_is_not_followed_is_a_fault_and_harms_nothing(
    document_at: Write, tmp_path: Path, reference: str, reason: str
) -> None:
    secret = tmp_path.parent / "secret.json"
    secret.write_text(json.dumps({"Pet": {"type": "string", "const": "secret"}}))
    (tmp_path / "link.json").symlink_to(secret)
    contract = contract_of(document_at, reference)
    assert [message for message in reference_faults(contract) if reason in message]
    assert "secret" not in str(contract.definitions)


def test_a_reference_into_a_file_of_the_folder_is_followed_from_there(document_at: Write, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "pet.yaml").write_text("Pet: {properties: {tag: {$ref: 'tag.yaml#/Tag'}}}")
    (tmp_path / "parts" / "tag.yaml").write_text("Tag: {type: integer}")
    contract = contract_of(document_at, "parts/pet.yaml#/Pet")
    assert reference_faults(contract) == []
    assert {"type": "integer"} in contract.definitions.values()


def test_a_broken_file_of_the_folder_is_a_fault(document_at: Write, tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text("a: [")
    assert "is broken YAML" in reference_faults(contract_of(document_at, "parts.yaml#/a"))[0]


def test_references_in_a_circle_are_a_fault(document_at: Write) -> None:
    circle = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    contract = contract_of(document_at, "#/components/schemas/A", schemas=circle)
    assert any("leads back to itself" in message for message in reference_faults(contract))


def test_a_schema_that_is_made_of_itself_is_cut_and_told(document_at: Write) -> None:
    endless = {
        "A": {"allOf": [{"$ref": "#/components/schemas/B"}]},
        "B": {"anyOf": [{"$ref": "#/components/schemas/A"}]},
    }
    contract = contract_of(document_at, "#/components/schemas/A", schemas=endless)
    assert [fault for fault in contract.faults if "is made of itself" in fault.message]


def test_a_tree_refers_to_itself_and_is_fine(document_at: Write) -> None:
    tree = {"properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}
    contract = contract_of(document_at, "#/components/schemas/Tree", schemas={"Tree": tree})
    assert contract.faults == []
    assert contract.definitions["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.demo.analyse import analyse
from actors.demo.document import load
from actors.demo.errors import DocumentError

Write = Callable[..., Path]
EXAMPLE = Path(__file__).parents[2] / "actors" / "demo" / "example.yaml"
VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def raw(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8")
    data: dict[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    return data


def every_reference(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from every_reference(inner)


@pytest.mark.parametrize("name", ["box-v2025.json", "petstore.yaml", "tictactoe.yaml", "uspto.yaml"])
def test_counts_agree_with_the_document_itself(real_documents: Path, name: str) -> None:
    data, contract = raw(real_documents / name), analyse(load(real_documents / name))
    operations = [
        (path, verb, item[verb], item) for path, item in data["paths"].items() for verb in VERBS if verb in item
    ]
    assert [(operation.path, operation.method) for operation in contract.operations] == [
        (path, verb) for path, verb, _, _ in operations
    ]
    assert contract.counts == {
        "paths": len(data["paths"]),
        "operations": len(operations),
        "parameters": sum(
            len(operation.get("parameters", [])) + len(item.get("parameters", []))
            for _, _, operation, item in operations
        ),
        "request_bodies": sum("requestBody" in operation for _, _, operation, _ in operations),
        "responses": sum(len(operation["responses"]) for _, _, operation, _ in operations),
        "schemas": len(data["components"]["schemas"]),
        "references": len(list(every_reference(data))),
    }


@pytest.mark.parametrize("name", ["box-v2025.json", "petstore.yaml", "tictactoe.yaml", "uspto.yaml"])
def test_every_named_schema_of_a_real_document_is_converted(real_documents: Path, name: str) -> None:
    contract = analyse(load(real_documents / name))
    assert set(contract.definitions) >= set(raw(real_documents / name)["components"]["schemas"])
    leads = {ref.removeprefix("#/$defs/") for ref in every_reference(contract.definitions)}
    assert leads <= set(contract.definitions)


def test_unused_components_of_a_real_document_are_those_that_its_text_never_names(real_documents: Path) -> None:
    for path in [
        real_documents / "box-v2025.json",
        real_documents / "petstore.yaml",
        real_documents / "tictactoe.yaml",
    ]:
        data = raw(path)
        unnamed = {
            f"#/components/{kind}/{name}"
            for kind, members in data["components"].items()
            if kind != "securitySchemes"
            for name in members
            if f"#/components/{kind}/{name}" not in set(every_reference(data))
        }
        assert {fault.where for fault in analyse(load(path)).faults if fault.kind == "unused"} == unnamed


def test_the_faults_that_the_example_has_on_purpose_are_found_and_no_others() -> None:
    faults = analyse(load(EXAMPLE)).faults
    assert sorted({fault.message for fault in faults}) == [
        "'getBook' names 2 operations",
        "GET /orders/{order_id} does not say what a malformed request gets",
        "POST /books/{book_id}/reviews, example of the response 201: stars: 6 is greater than the maximum of 5",
        "nothing refers to the parameters entry 'Sort'",
        "the array Order.wishes does not say what its items are",
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"get": {"responses": {}}}, "GET /a/{id} documents no response"),
        ({"get": {"responses": {"200": {}, "2000": {}}}}, "'2000' is no status code"),
        ({"get": {"responses": {"200": {}}}}, "{id} of the path is not declared"),
        (
            {"get": {"parameters": [{"name": "no", "in": "path"}], "responses": {"200": {}}}},
            "'no' is declared, but not in the path",
        ),
        (
            {"get": {"parameters": [{"name": "n", "in": "query", "schema": {"type": "text"}}], "responses": {}}},
            "type can't be 'text'",
        ),
        (
            {"get": {"parameters": [{"name": "n", "in": "query", "schema": {"minimum": "5"}}], "responses": {}}},
            "minimum can't be '5'",
        ),
        (
            {"get": {"parameters": [{"name": "n", "in": "query", "schema": {"pattern": "("}}], "responses": {}}},
            "pattern can't be '('",
        ),
        (
            {"get": {"parameters": [{"name": "n", "in": "query", "schema": {"allOf": 3}}], "responses": {}}},
            "allOf must be a list of schemas",
        ),
        (
            {"get": {"parameters": [{"name": "n", "in": "query", "schema": "x"}], "responses": {}}},
            "a schema must be an object",
        ),
        (
            {
                "get": {
                    "parameters": [{"name": "n", "in": "query", "schema": {"type": "integer"}, "example": "x"}],
                    "responses": {},
                }
            },
            "'x' is not of type 'integer'",
        ),
    ],
)
def test_a_fault_is_found(document_at: Write, item: dict[str, Any], message: str) -> None:
    faults = analyse(load(document_at({"/a/{id}": item}))).faults
    assert [fault for fault in faults if message in fault.message]


def test_parameters_of_the_operation_replace_those_of_the_path(document_at: Write) -> None:
    shared = [{"name": "n", "in": "query", "schema": {"type": "string"}}, {"name": "m", "in": "query"}]
    own = [{"name": "n", "in": "query", "required": True, "schema": {"type": "integer"}}]
    item = {"parameters": shared, "get": {"parameters": own, "responses": {"200": {}, "400": {}}}}
    (operation,) = analyse(load(document_at({"/a": item}))).operations
    assert [(p.name, p.required, p.schema) for p in operation.parameters] == [
        ("n", True, {"type": "integer"}),
        ("m", False, {}),
    ]


def test_json_is_chosen_among_the_media_types_of_a_body(document_at: Write) -> None:
    content: dict[str, Any] = {"application/xml": {}, "text/plain": {}, "application/merge-patch+json": {}}
    item = {"patch": {"requestBody": {"content": content}, "responses": {"200": {}, "400": {}}}}
    (operation,) = analyse(load(document_at({"/a": item}))).operations
    assert operation.body is not None
    assert operation.body.media_type == "application/merge-patch+json"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"enum": ["a"], "type": "string", "nullable": True}, {"enum": ["a", None], "type": ["string", "null"]}),
        ({"allOf": [{}], "nullable": True}, {"anyOf": [{"allOf": [{}]}, {"type": "null"}]}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"type": "integer", "example": 3}, {"type": "integer", "examples": [3]}),
    ],
)
def test_schemas_of_openapi_3_0_mean_the_same_as_json_schema(
    document_at: Write, written: dict[str, Any], meant: dict[str, Any]
) -> None:
    path = document_at(version="3.0.3", components={"schemas": {"A": written}})
    assert analyse(load(path)).definitions["A"] == meant


def test_a_document_without_operations_is_refused(document_at: Write) -> None:
    with pytest.raises(DocumentError, match="has no operations"):
        analyse(load(document_at({"/a": {"summary": "nothing here"}})))

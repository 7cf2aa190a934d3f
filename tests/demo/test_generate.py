from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.demo.analyse import analyse
from actors.demo.document import load
from actors.demo.generate import MOST_NEGATIVE, generate
from actors.demo.model import Case, Contract, Parameter
from actors.demo.validation import Validation

Write = Callable[..., Path]


def cases_of(contract: Contract, seed: int = 1) -> list[tuple[int, Case]]:
    sets = [generate(contract, index, seed) for index in range(len(contract.operations))]
    return [(found.operation, case) for found in sets for case in found.cases]


@pytest.mark.parametrize("name", ["box-v2025.json", "petstore.yaml", "tictactoe.yaml", "uspto.yaml"])
def test_each_real_operation_gets_cases_and_their_json_bodies_fit_or_do_not(real_documents: Path, name: str) -> None:
    contract = analyse(load(real_documents / name))
    validation = Validation(contract.definitions)
    cases = cases_of(contract)
    assert {index for index, case in cases if case.valid} == set(range(len(contract.operations)))
    for index, case in cases:
        body = contract.operations[index].body
        if case.body is not None and body is not None and (case.valid or case.name.startswith("body,")):
            assert validation.fits(case.body, body.media.schema) == case.valid, case


def test_the_same_seed_gives_the_same_cases_and_another_seed_others(real_documents: Path) -> None:
    contract = analyse(load(real_documents / "petstore.yaml"))
    assert cases_of(contract) == cases_of(contract)
    assert cases_of(contract) != cases_of(contract, seed=2)


def names(write: Write, operation: dict[str, Any], path: str = "/a/{id}") -> list[str]:
    entry = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]}
    document = load(write({path: {**entry, "post": {"responses": {"200": {}}, **operation}}}))
    return [case.name for _, case in cases_of(analyse(document)) if not case.valid]


def test_a_path_parameter_of_the_wrong_type_is_a_case(document_at: Write) -> None:
    assert names(document_at, {}) == ["path parameter id, text in place of integer"]


@pytest.mark.parametrize(
    ("schema", "broken"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, ["text in place of integer", "less than 1", "more than 3"]),
        ({"type": "string", "enum": ["a", "b"]}, ["not one of the allowed values"]),
        (
            {"type": "string", "minLength": 2, "maxLength": 3},
            ["shorter than 2 characters", "longer than 3 characters"],
        ),
        ({"type": "string", "pattern": "^[a-z]+$"}, ["not of the pattern ^[a-z]+$"]),
        ({"type": "boolean"}, ["text in place of boolean"]),
    ],
)
def test_each_rule_of_a_parameter_is_broken_once(document_at: Write, schema: dict[str, Any], broken: list[str]) -> None:
    required = {"name": "q", "in": "query", "required": True, "schema": schema}
    assert [name for name in names(document_at, {"parameters": [required]}) if "path" not in name] == [
        "without query parameter q",
        *(f"query parameter q, {rule}" for rule in broken),
    ]


def test_each_rule_of_a_body_is_broken_once_down_to_inner_members(document_at: Write) -> None:
    inner = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    schema = {"type": "object", "required": ["x"], "properties": {"x": inner}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    assert [name for name in names(document_at, {"requestBody": body}) if "path" not in name] == [
        "no body",
        "body, without x",
        "body, x: without n",
        "body, x.n: text in place of integer",
        "body, x: text in place of object",
        "body, text in place of object",
    ]


def test_an_operation_has_a_bounded_number_of_broken_cases_and_says_so(document_at: Write) -> None:
    schema = {"properties": {f"p{number}": {"type": "integer"} for number in range(50)}}
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    contract = analyse(load(document_at({"/a": {"post": {"responses": {"200": {}}, **body}}})))
    found = generate(contract, 0, 1)
    assert sum(not case.valid for case in found.cases) == MOST_NEGATIVE
    assert found.omitted == ["more than 16 ways to break it"]


def test_what_can_not_be_made_is_omitted_with_the_reason(document_at: Write) -> None:
    content = {"application/xml": {"schema": {"type": "object"}}}
    body = {"requestBody": {"required": True, "content": content}, "responses": {"200": {}}}
    found = generate(analyse(load(document_at({"/a": {"post": body}}))), 0, 1)
    assert found.cases == []
    assert all("application/xml" in reason for reason in found.omitted)


def test_a_path_that_no_parameter_fills_is_omitted(document_at: Write) -> None:
    found = generate(analyse(load(document_at({"/a/{id}": {"get": {"responses": {"200": {}}}}}))), 0, 1)
    assert found.cases == []


def test_parameters_that_http_sets_itself_are_left_out(document_at: Write) -> None:
    parameters = [{"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}}]
    contract = analyse(load(document_at({"/a": {"get": {"parameters": parameters, "responses": {"200": {}}}}})))
    assert contract.operations[0].parameters == [
        Parameter("Authorization", "header", required=True, schema={"type": "string"}, style="simple", explode=False)
    ]
    assert [case.headers for _, case in cases_of(contract)] == [[]]

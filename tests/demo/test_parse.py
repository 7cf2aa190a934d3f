from __future__ import annotations

import pytest

from actors.demo.errors import DocumentError
from actors.demo.parse import parse


@pytest.mark.parametrize(
    ("text", "as_json", "reason"),
    [
        ("a: [1\nb: 2", False, r"is broken YAML: .* \(line 2, column 2\)"),
        ('{"a": 1,\n "b" 2}', True, r"is broken JSON: .* \(line 2, column 6\)"),
        ("[" * 200_000, False, "nested more than 100 levels"),
        ("[" * 200_000, True, "nested more than 100 levels"),
        ("- " * 500 + "x", False, "nested more than 100 levels"),
        ("a: &a [*a]", False, r"the YAML alias \*a within what it stands for"),
        ("a: *b", False, r"the YAML alias \*b"),
        ("a: .nan", False, "no JSON number"),
        ('{"a": Infinity}', True, "no JSON number"),
        ("a: !!binary aGk=", False, "type bytes"),
        ("? [a]\n: 1", False, "a key must be plain text"),
        ("a: !!python/object:os.system x", False, "is broken YAML: could not determine a constructor"),
    ],
)
def test_a_broken_or_hostile_text_is_refused_in_one_line(text: str, as_json: bool, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason) as caught:
        parse(text, as_json=as_json)
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_is_built() -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12))
    with pytest.raises(DocumentError, match="1,000,000 values once its YAML aliases are written out"):
        parse(f"l0: &l0 [lol]\n{levels}", as_json=False)


def test_a_few_aliases_are_fine() -> None:
    assert parse("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}", as_json=False) == (
        {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}},
        [],
    )


def test_yaml_has_the_values_of_json_and_keys_are_text() -> None:
    value, _ = parse("200: yes\n1.10: 2020-01-01\na: true\nb: null\nc: 1.5", as_json=False)
    assert value == {"200": "yes", "1.10": "2020-01-01", "a": True, "b": None, "c": 1.5}


@pytest.mark.parametrize(("text", "as_json"), [("a: 1\nb: {c: 1, c: 2}", False), ('{"b": {"c": 1, "c": 2}}', True)])
def test_a_key_that_stands_twice_is_told(text: str, as_json: bool) -> None:
    value, repeated = parse(text, as_json=as_json)
    assert value["b"] == {"c": 2}
    assert repeated == ["c"]

"""Text to plain values, within bounds: YAML and JSON as OpenAPI uses them.

YAML is measured on its event stream before anything is built: libyaml's composer recurses in C, so that a deep
document would end the process, and an alias bomb is small until somebody walks it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

from actors.demo.errors import DocumentError

MAX_DEPTH = 100
MAX_VALUES = 1_000_000  # once aliases are written out

_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
_TOO_LARGE = f"holds more than {MAX_VALUES:,} values once its YAML aliases are written out"


def parse(text: str, *, as_json: bool) -> tuple[Any, list[str]]:
    """The value that *text* holds, and the keys that one mapping of it has twice.

    Raises:
        DocumentError: the text is broken (with line and column), too deep, too large, or holds what JSON has not.
    """
    try:
        value, repeated = _parse_json(text) if as_json else _parse_yaml(text)
        _check(value)
    except json.JSONDecodeError as error:
        raise DocumentError(f"is broken JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except yaml.YAMLError as error:
        raise DocumentError(f"is broken YAML: {_describe(error)}") from None
    except RecursionError:
        raise DocumentError(_TOO_DEEP) from None
    return value, repeated


def _check(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise DocumentError(_TOO_DEEP)
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            _check(child, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"holds {value}, which is no JSON number")
    elif not isinstance(value, str | int | float | None):
        raise DocumentError(f"holds a YAML value of type {type(value).__name__}, which JSON does not have")


def _parse_json(text: str) -> tuple[Any, list[str]]:
    repeated: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            repeated.extend(_twice(key for key, _ in pairs))
        return built

    return json.loads(text, object_pairs_hook=build), repeated


def _twice(keys: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    found = []
    for key in keys:
        if key in seen:
            found.append(key)
        seen.add(key)
    return found


def _parse_yaml(text: str) -> tuple[Any, list[str]]:
    _measure(yaml.parse(text, Loader=yaml.CSafeLoader))
    loader = _Loader(text)
    try:
        return loader.get_single_data(), loader.repeated
    finally:
        loader.dispose()


def _measure(events: Iterable[yaml.Event]) -> None:
    """Refuse a stream that is too deep, too large once its aliases are written out, or that holds itself."""
    total = 0
    sizes: dict[str | None, int] = {}
    unclosed: list[tuple[str | None, int]] = []
    for event in events:
        match event:
            case yaml.AliasEvent():
                if event.anchor not in sizes:
                    raise DocumentError(f"has the YAML alias *{event.anchor} within what it stands for, or before it")
                total += sizes[event.anchor]
            case yaml.CollectionStartEvent():
                unclosed.append((event.anchor, total))
                total += 1
            case yaml.CollectionEndEvent():
                anchor, before = unclosed.pop()
                sizes[anchor] = total - before
            case yaml.ScalarEvent():
                sizes[event.anchor] = 1
                total += 1
        if len(unclosed) > MAX_DEPTH:
            raise DocumentError(_TOO_DEEP)
        if total > MAX_VALUES:
            raise DocumentError(_TOO_LARGE)


class _Loader(yaml.CSafeLoader):
    """YAML with JSON's values: no dates, no `yes` and `no`; keys are text as written; repeated keys are told."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        assert isinstance(node, yaml.MappingNode)
        self.repeated += _twice(_text(key) for key, _ in node.value if key.tag != _MERGE)
        self.flatten_mapping(node)
        return {_text(key): self.construct_object(value, deep=deep) for key, value in node.value}


def _text(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
    return str(key.value)


_MERGE = "tag:yaml.org,2002:merge"
_BOOL = "tag:yaml.org,2002:bool"
_LOOSE = {_BOOL, "tag:yaml.org,2002:timestamp"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LOOSE]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _describe(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(error).split())

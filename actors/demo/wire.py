"""Values as HTTP carries them: parameters and bodies to text, and back to values for checking.

Text carries no types: `7` is an integer where the schema asks for one, and text where it asks for text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from actors.demo import shape
from actors.demo.errors import NoSample
from actors.demo.model import Parameter, Schema, is_json

FORM = "application/x-www-form-urlencoded"
_SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|"}
_TOKEN = re.compile(r"[!-~]([ -~]*[!-~])?")  # what a header's value may be
_COOKIE = re.compile(r"[!#-+\--:<-\[\]-~]*")


def encode(parameter: Parameter, value: Any) -> list[tuple[str, str]]:
    """*value* as the name and text pairs that carry it; only a list or an object may be several.

    Raises:
        NoSample: its place can't carry this value, such as an empty path segment.
    """
    pairs = _encode(parameter, value)
    for _, text in pairs:
        if not _CAN_CARRY[parameter.place](text):
            raise NoSample(f"a {parameter.place} parameter can't carry {text[:40]!r}")
    if not pairs:
        raise NoSample(f"a {parameter.place} parameter can't carry an empty value")
    return pairs


def _encode(parameter: Parameter, value: Any) -> list[tuple[str, str]]:
    name = parameter.name
    if parameter.as_json:
        return [(name, json.dumps(value))]
    if isinstance(value, list):
        texts = [to_text(item) for item in value]
        if parameter.style == "form" and parameter.explode:
            return [(name, text) for text in texts]
        return [(name, _SEPARATORS.get(parameter.style, ",").join(texts))] if texts else []
    if isinstance(value, dict):
        if parameter.style != "deepObject":
            raise NoSample(f"objects in style {parameter.style} are not sent")
        return [(f"{name}[{key}]", to_text(member)) for key, member in value.items()]
    return [(name, to_text(value))]


def to_text(value: Any) -> str:
    """One value as text: text as it is, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


_CAN_CARRY: dict[str, Callable[[str], bool]] = {
    "path": lambda text: text not in ("", ".", ".."),
    "query": lambda text: text.isprintable(),
    "header": lambda text: _TOKEN.fullmatch(text) is not None,
    "cookie": lambda text: _COOKIE.fullmatch(text) is not None,
}


def decode(parameter: Parameter, pairs: Iterable[tuple[str, str]], definitions: shape.Definitions) -> Any:
    """The value that *pairs* carry for *parameter*, or None if they carry none."""
    pairs = list(pairs)
    schema = parameter.schema
    if parameter.style == "deepObject":
        prefix = f"{parameter.name}["
        members = [(name.removeprefix(prefix).removesuffix("]"), text) for name, text in pairs if prefix in name]
        return _members(members, schema, definitions) or None
    texts = [text for name, text in pairs if name == parameter.name]
    if not texts:
        return None
    if parameter.as_json:
        return _from_json(texts[0])
    if "array" in shape.types(schema, definitions):
        if not (parameter.style == "form" and parameter.explode):
            texts = texts[0].split(_SEPARATORS.get(parameter.style, ","))
        return [from_text(text, shape.items(schema, definitions), definitions) for text in texts]
    return from_text(texts[0], schema, definitions)


def from_text(text: str, schema: Schema, definitions: shape.Definitions) -> Any:
    """*text* as the most telling type that *schema* names and that it can be; else the text itself."""
    named = shape.types(schema, definitions)
    for kinds, pattern in _READABLE:
        if named & kinds and pattern.fullmatch(text):
            value = json.loads(text)
            return text if value in (math.inf, -math.inf) else value
    if named & {"object", "array"}:
        return _from_json(text)
    return text


_READABLE = (
    ({"integer", "number"}, re.compile(r"-?(0|[1-9][0-9]{0,30})")),
    ({"number"}, re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")),
    ({"boolean"}, re.compile("true|false")),
    ({"null"}, re.compile("null")),
)


def encode_body(media_type: str, value: Any) -> bytes:
    """A request body.

    Raises:
        NoSample: the demo can't write this media type, or this value in it.
    """
    if is_json(media_type):
        return json.dumps(value).encode()
    plain = media_type.partition(";")[0].strip().lower()
    if plain == FORM and isinstance(value, dict):
        return urlencode([(key, to_text(m)) for key, member in value.items() for m in _each(member)]).encode()
    if plain in ("text/plain", "application/octet-stream") and isinstance(value, str):
        return value.encode()
    raise NoSample(f"the demo writes no {media_type} bodies of this kind")


def decode_body(media_type: str, content: bytes, schema: Schema, definitions: shape.Definitions) -> Any:
    """The value that a body carries; text that is no value stays text, for the schema to refuse."""
    text = content.decode(errors="replace")
    if is_json(media_type):
        return _from_json(text)
    if media_type.partition(";")[0].strip().lower() == FORM:
        return _members(parse_qsl(text, keep_blank_values=True), schema, definitions)
    return text


def _members(pairs: list[tuple[str, str]], schema: Schema, definitions: shape.Definitions) -> dict[str, Any]:
    known = shape.properties(schema, definitions)
    found: dict[str, Any] = {}
    for name, text in pairs:
        inner = known.get(name, {})
        if "array" in shape.types(inner, definitions):
            item = from_text(text, shape.items(inner, definitions), definitions)
            found.setdefault(name, []).append(item)
        else:
            found[name] = from_text(text, inner, definitions)
    return found


def _each(member: Any) -> list[Any]:
    return member if isinstance(member, list) else [member]


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

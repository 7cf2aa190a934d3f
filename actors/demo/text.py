"""Random text: of a format, of a pattern, of a length."""

from __future__ import annotations

import base64
import datetime
import string
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

import rstr

from actors.demo.errors import NoSample

MAX_LENGTH = 10_000  # characters; a schema that asks for more gets no sample
_MAX_PATTERN = 300
_LETTERS = string.ascii_letters + string.digits
_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def draw_text(schema: dict[str, Any], random: Random) -> str:
    """Text for a schema of type string; it may still not fit, as where a pattern and a length disagree.

    Raises:
        NoSample: the schema asks for very long text, or its pattern can't be read.
    """
    shortest = schema.get("minLength", 0)
    longest = min(schema.get("maxLength", shortest + 12), shortest + 12)
    if shortest > MAX_LENGTH:
        raise NoSample(f"text of {shortest:,} characters is not made")
    if "pattern" in schema:
        return _of_pattern(schema["pattern"], random)
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]](random)
    return word(random, random.randint(max(shortest, min(longest, 1)), max(shortest, longest)))


def word(random: Random, length: int) -> str:
    """*length* letters and digits, which mean nothing to any protocol that carries them."""
    return "".join(random.choices(_LETTERS, k=length))


def _of_pattern(pattern: str, random: Random) -> str:
    if len(pattern) > _MAX_PATTERN:
        raise NoSample(f"a pattern of {len(pattern)} characters is not tried")
    try:
        return rstr.Rstr(random).xeger(pattern)[:MAX_LENGTH]
    except Exception as error:  # rstr raises what its table of regex parts happens to raise
        raise NoSample(f"no text is found for the pattern {pattern}: {error}") from error


def _moment(random: Random) -> datetime.datetime:
    return _START + datetime.timedelta(seconds=random.randrange(200_000_000))


FORMATS: dict[str, Callable[[Random], str]] = {
    "date": lambda random: _moment(random).date().isoformat(),
    "date-time": lambda random: _moment(random).isoformat().replace("+00:00", "Z"),
    "time": lambda random: _moment(random).time().isoformat() + "Z",
    "duration": lambda random: f"PT{random.randint(1, 59)}M",
    "uuid": lambda random: str(uuid.UUID(int=random.getrandbits(128), version=4)),
    "email": lambda random: f"{word(random, 6).lower()}@example.com",
    "hostname": lambda random: f"{word(random, 6).lower()}.example.com",
    "uri": lambda random: f"https://example.com/{word(random, 6)}",
    "url": lambda random: f"https://example.com/{word(random, 6)}",
    "uri-reference": lambda random: f"/{word(random, 6)}",
    "ipv4": lambda random: f"192.0.2.{random.randint(1, 254)}",
    "ipv6": lambda random: f"2001:db8::{random.randint(1, 9999):x}",
    "byte": lambda random: base64.b64encode(random.randbytes(6)).decode(),
}

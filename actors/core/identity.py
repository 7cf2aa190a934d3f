"""Task ids: UUIDs of version 7, whose text sorts by time of creation."""

from __future__ import annotations

import re

RANDOM_BITS = 74
"""Random bits in an id."""

_MOST_MILLISECONDS = (1 << 48) - 1
_VERSION_AND_VARIANT = 7 << 76 | 0b10 << 62
_RAND_A = (1 << 12) - 1
_RAND_B = (1 << 62) - 1
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def uuid7(milliseconds: int, random_bits: int) -> str:
    """The text of a UUID of version 7 (RFC 9562).

    *milliseconds* is Unix time, 48 bits; *random_bits* are `RANDOM_BITS` bits, drawn by the caller. Higher bits of
    either are cut off.
    """
    chance = (random_bits >> 62 & _RAND_A) << 64 | random_bits & _RAND_B
    whole = (milliseconds & _MOST_MILLISECONDS) << 80 | _VERSION_AND_VARIANT | chance
    digits = whole.to_bytes(16, "big").hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_uuid(text: object) -> bool:
    """Whether *text* is text, and a UUID of any version in its usual form: 32 hexadecimal digits in five groups."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def stored_id(task_id: str) -> str:
    """*task_id* as rows have it: in lower case, however it was written.

    What no id can have is escaped: a lone surrogate, or a NUL, makes a whole query fail, and with it all who ask for
    other tasks in the same one.
    """
    text = str(task_id).lower()  # a UUID object has the same text
    return text if text.isascii() and text.isprintable() else ascii(text)

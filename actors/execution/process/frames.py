"""Messages between a node and its child processes: JSON, with the length of each in front of it."""

from __future__ import annotations

import struct
from typing import Any, Final

import orjson

from ...core.stored import plain_text

CHUNK: Final = 65536
"""Bytes to read at once."""
_LENGTH: Final = struct.Struct("!Q")


def frame(*message: Any) -> bytes:
    """*message* as it travels in a stream."""
    body = packed(*message)
    return _LENGTH.pack(len(body)) + body


def packed(*message: Any) -> bytes:
    """*message* itself. Text that has no UTF-8 form is escaped: there is no telling what errors and logs say."""
    try:
        return orjson.dumps(message)
    except TypeError:
        return plain_text(message).encode()


def unpacked(data: bytes) -> list[Any]:
    """The message that *data* is."""
    message: list[Any] = orjson.loads(data)
    return message


class Frames:
    """Puts together what arrives in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[list[Any]]:
        """The messages that are whole now."""
        self._buffer += data
        start, whole, messages = 0, len(self._buffer), []
        while whole - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(self._buffer, start)[0]
            if end > whole:
                break
            messages.append(orjson.loads(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return messages

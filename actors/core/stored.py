"""How small values stand in a row: JSON text, read back without trust in who wrote it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from .task import ErrorInfo, Progress

LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000


def error_text(info: ErrorInfo) -> str:
    """*info* as JSON text, its longest parts cut."""
    return plain_text(
        {
            "type": info.type,
            "message": shortened(info.message, LONGEST_MESSAGE),
            "traceback": shortened(info.traceback, LONGEST_TRACEBACK),
            "attempt": info.attempt,
            "at": info.at.isoformat(),
        }
    )


def error_from(text: str | None) -> ErrorInfo | None:
    """The error that *text* holds."""
    if text is None:
        return None
    data = orjson.loads(text)
    return ErrorInfo(
        data["type"], data["message"], data["traceback"], data["attempt"], datetime.fromisoformat(data["at"])
    )


def progress_from(text: str | None) -> Progress | None:
    """The progress that *text* holds."""
    if text is None:
        return None
    data = orjson.loads(text)
    return Progress(data["fraction"], data["message"], data["data"], datetime.fromisoformat(data["at"]))


def plain_text(data: Any) -> str:
    """JSON text of what may hold any text, lone surrogates too: an error message is stored, whatever is in it."""
    try:
        return orjson.dumps(data).decode()
    except TypeError:
        return orjson.dumps(_printable(data)).decode()


def shortened(text: str, most: int) -> str:
    """*text*, with its middle left out if it is longer than *most* characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _printable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_printable(key): _printable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_printable(item) for item in data]
    return data

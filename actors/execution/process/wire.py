"""How errors, requests and log records travel from a child process to its node."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from ...core import errors
from ...core.codec import as_json, dumps, loads
from ...core.control import Abort, Retry, Snooze, StopRequested
from ...core.errors import ActorsError, InvalidOption, InvalidPayload
from ...core.misfit import explain
from ...core.outcome import Raised
from ...core.remote import RemoteError, kinds_of
from ...core.request import TaskRequest
from ...core.stop import StopReason
from ...core.task import ErrorInfo

PLAIN: Final = (str, int, float, bool, type(None))


def pack_raised(raised: Raised) -> dict[str, Any]:
    """What a handler raised: the words for the row, and what a retry policy asks for."""
    error, info = raised.error, raised.info
    return {
        "info": [info.type, info.message, info.traceback],
        "final": raised.final,
        "kinds": kinds_of(error),
        "control": _pack_control(error),
    }


def unpack_raised(data: Mapping[str, Any], attempt: int, at: datetime) -> Raised:
    """The same in the node, of attempt number *attempt*."""
    kind, message, text = data["info"]
    error = _unpack_control(*data["control"]) if data["control"] else RemoteError(message, data["kinds"])
    return Raised(error, ErrorInfo(kind, message, text, attempt, at), data["final"])


def _pack_control(error: Exception) -> list[Any] | None:
    match error:
        case Retry():
            return ["retry", error.after]
        case Snooze():
            return ["snooze", error.seconds]
        case Abort():
            return ["abort", error.reason]
        case StopRequested():
            return ["stop", error.reason.value]
        case _:
            return None


def _unpack_control(kind: str, value: Any) -> Exception:
    match kind:
        case "retry":
            return Retry(value)
        case "snooze":
            return Snooze(value)
        case "abort":
            return Abort(value)
        case _:
            return StopRequested(StopReason(value))


def pack_request(request: Any) -> dict[str, Any]:
    """A child's request. What is wrong with the values that travel is for the node to say.

    Raises:
        InvalidOption, InvalidPayload: it cannot travel.
    """
    if not isinstance(request, TaskRequest):
        raise InvalidOption(f"a request is {request!r:.80}; it should be a TaskRequest")
    return {field.name: _pack_value(field.name, getattr(request, field.name)) for field in attrs.fields(TaskRequest)}


def unpack_request(data: Mapping[str, Any]) -> TaskRequest:
    """The same in the node."""
    return TaskRequest(**{name: _unpack_value(*packed) for name, packed in data.items()})


def _pack_value(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, Mapping | list | tuple):
        return "json", _json(name, dict(value) if isinstance(value, Mapping) else value)
    if isinstance(value, datetime):
        return "datetime", value.isoformat()
    if type(value) is float and not math.isfinite(value):
        return "float", repr(value)
    if not isinstance(value, PLAIN):
        raise InvalidOption(f"{name} is {value!r:.80}, which cannot be handed on from a process; leave it out")
    return "plain", value


def _json(name: str, value: Any) -> str:
    try:
        return dumps(as_json(value))
    except InvalidPayload as error:
        raise InvalidPayload(f"{name}: {error}") from None
    except Exception as error:
        raise InvalidPayload(f"{name} {explain(error)}") from None


def _unpack_value(kind: str, value: Any) -> Any:
    match kind:
        case "json":
            return loads(value)
        case "datetime":
            return datetime.fromisoformat(value)
        case "float":
            return float(value)
        case _:
            return value


def pack_refusal(error: Exception) -> list[Any]:
    """What the node says of a request that it does not take."""
    return [type(error).__name__, str(error), kinds_of(error)]


def unpack_refusal(name: str, message: str, kinds: list[str]) -> Exception:
    """The same to be raised in the child: an error of ours is rebuilt."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ActorsError):
        return kind(message)
    return RemoteError(f"{name}: {message}", kinds)


def pack_record(record: logging.LogRecord) -> dict[str, Any]:
    """A log record; what is no plain value travels as text."""
    data = {name: value if isinstance(value, PLAIN) else str(value) for name, value in record.__dict__.items()}
    if record.exc_info and not record.exc_text:
        data["exc_text"] = logging.Formatter().formatException(record.exc_info)
    return {**data, "msg": record.getMessage(), "args": None, "exc_info": None}


def handle_record(data: Mapping[str, Any]) -> None:
    """Have a child's record handled here as if it had been logged here."""
    record = logging.makeLogRecord(dict(data))
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)

"""What users' code raises: taken apart, described, kept from ending more than its own task, and what it means for that.

Used in the node and in its child processes.
"""

from __future__ import annotations

import logging
import traceback
from datetime import datetime
from typing import Final

from ..core.codec import UnencodableResult
from ..core.control import Abort, Retry, Snooze
from ..core.outcome import Raised
from ..core.request import Claimed
from ..core.task import ErrorInfo

logger = logging.getLogger("actors.execution")

_CONTROL: Final = (Abort, Retry, Snooze)


class Failed(Exception):
    """Carries what an attempt has come to, where that is known already."""

    def __init__(self, raised: Raised) -> None:
        super().__init__(raised.info.message)
        self.raised = raised


def raised(error: Exception, task: Claimed, at: datetime) -> Raised:
    """What *error* means for its attempt. A group stands for its first error; the others are logged."""
    if isinstance(error, Failed):
        return error.raised
    leaf = first_leaf(error)
    if leaf is not error:
        words = "attempt %d of %r raised in a group with others"
        for other in leaves(error):
            logger.error(words, task.attempt, task.task_type, exc_info=other, extra=task.names)
    return Raised(leaf, info(error, leaf, task, at), isinstance(leaf, UnencodableResult))


def info(error: Exception, leaf: Exception, task: Claimed, at: datetime) -> ErrorInfo:
    """*error* as it is stored, under the name of its *leaf*; control exceptions are words, and carry no traceback."""
    text = "" if isinstance(leaf, _CONTROL) else described(error)
    return ErrorInfo(type(leaf).__qualname__, worded(leaf), text, task.attempt, at)


def unexplained(error: BaseException, task: Claimed, at: datetime) -> Raised:
    """What it means when even describing *error* failed: its type has to do."""
    kind = type(error).__name__
    words = "attempt %d of %r raised %s, which cannot be described"
    logger.error(words, task.attempt, task.task_type, kind, extra=task.names)
    told = ErrorInfo(kind, "an error that cannot be described", "", task.attempt, at)
    return Raised(RuntimeError(told.message), told)


def leaves(error: BaseException) -> list[BaseException]:
    """The errors inside of nested groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


def first_leaf(error: Exception) -> Exception:
    """The error that *error* stands for: of a group, its first one."""
    if isinstance(error, Failed):
        return error.raised.error
    return next((leaf for leaf in leaves(error) if isinstance(leaf, Exception)), error)


def worded(error: BaseException) -> str:
    """The error's message; an exception class of a user's own may make even that fail."""
    try:
        return str(error)
    except Exception as fault:
        return f"<its message cannot be made: {type(fault).__name__}>"


def described(error: BaseException) -> str:
    """The traceback's text, which may fail just as well."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as fault:
        return f"the traceback cannot be made: {type(fault).__name__}"


def contained(error: BaseException, who: str) -> Exception:
    """*error*, which *who* has raised, as one that fails its task alone, and not the trio task that ran the code."""
    if isinstance(error, Exception):
        return error
    for leaf in leaves(error):
        if isinstance(leaf, SystemExit):
            return _because(error, f"{who} called sys.exit({leaf.code!r})")
    return _because(error, f"{who} raised {type(leaves(error)[0]).__name__}, which is no Exception")


def _because(cause: BaseException, words: str) -> RuntimeError:
    error = RuntimeError(words)
    error.__cause__ = cause
    return error

"""What users' code raises: taken apart, described, and kept from ending more than its own task."""

from __future__ import annotations

import traceback


def leaves(error: BaseException) -> list[BaseException]:
    """The errors inside of nested groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


def first_leaf(error: Exception) -> Exception:
    """The error that a group stands for: its first one."""
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

"""The hooks of one system: plain functions of users, called around submits and attempts."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from .core.errors import InvalidOption
from .core.request import TaskRequest
from .execution.faults import contained
from .execution.hooks import AttemptHooks

logger = logging.getLogger("actors.hooks")


class Hooks:
    """What is registered; see `TaskSystem.before_submit` and its like."""

    def __init__(self) -> None:
        self.before_submit: list[Callable[[TaskRequest], TaskRequest | None]] = []
        self.attempts = AttemptHooks()

    def changed(self, request: TaskRequest) -> TaskRequest:
        """*request* after each hook; raises what one of them raises."""
        for hook in self.before_submit:
            request = _changed(hook, request)
        return request


def _changed(hook: Callable[[TaskRequest], TaskRequest | None], request: TaskRequest) -> TaskRequest:
    try:
        given: Any = hook(request)
    except KeyboardInterrupt:  # Ctrl-C strikes wherever the program is
        raise
    except BaseException as error:  # a sys.exit() would end the node, if the request came by channel
        logger.exception("the hook %r refused a submit of %r", hook, request.task_type)
        if isinstance(error, Exception):
            raise
        raise contained(error, "a before_submit hook") from error
    if given is not None and not isinstance(given, TaskRequest):
        raise InvalidOption(f"the hook {hook!r:.80} gave {given!r:.80}; it should give a TaskRequest or None")
    return given or request


def plain(what: str, function: Any) -> None:
    """Check that *function* is one that can be called at once.

    Raises:
        InvalidOption: it is none, or is declared with async def or yields, so that its calls would never run.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOption(f"the {what} {function!r:.80} is a generator; it should be a plain function")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise InvalidOption(f"the {what} {function!r:.80} is async; it should be a plain function")
    if not callable(function):
        raise InvalidOption(f"the {what} is {function!r:.80}; it should be a plain function")

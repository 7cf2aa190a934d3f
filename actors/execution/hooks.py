"""Plain functions of users that are called around each attempt, in its own context."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs

from ..core.control import Snooze
from ..core.outcome import Cancelled, Finished, Outcome, Raised, Returned, TimedOut
from ..core.task import ErrorInfo
from .context import TaskContext

logger = logging.getLogger("actors.execution")


@attrs.frozen
class AttemptEnd:
    """What an attempt came to, for `after_attempt` hooks. Whether a failed one is tried again is decided later.

    Attributes:
        outcome: "completed", "failed", "timed_out", "snoozed", "returned" or "cancelled".
        error: what the handler raised, if that is why it failed.
        error_info: the error as it is stored, of a failed or timed out attempt.
    """

    outcome: str
    error: Exception | None = None
    error_info: ErrorInfo | None = None


@attrs.frozen
class AttemptHooks:
    """The hooks of one system, in the order in which they were registered."""

    before: list[Callable[[TaskContext], object]] = attrs.field(factory=list)
    after: list[Callable[[TaskContext, AttemptEnd], object]] = attrs.field(factory=list)

    def begin(self, context: TaskContext) -> None:
        """Call those before; the first one that raises keeps the rest, and the handler, from running."""
        for hook in self.before:
            hook(context)

    def end(self, context: TaskContext, outcome: Outcome) -> None:
        """Call those after; whatever they raise, the outcome stands."""
        told = end_of(outcome)
        for hook in self.after:
            try:
                hook(context, told)
            except BaseException:  # a sys.exit() in a hook would take the outcome with it
                logger.exception("the hook %r raised after %r; the outcome stands", hook, context)


def end_of(outcome: Outcome) -> AttemptEnd:
    """*outcome* as hooks are told of it."""
    match outcome:
        case Finished():
            return AttemptEnd("completed")
        case Cancelled():
            return AttemptEnd("cancelled")
        case Returned():
            return AttemptEnd("returned")
        case TimedOut(info):
            return AttemptEnd("timed_out", None, info)
        case Raised(Snooze()):
            return AttemptEnd("snoozed")
        case Raised(error, info):
            return AttemptEnd("failed", error, info)

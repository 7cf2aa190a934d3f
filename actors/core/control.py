"""What a handler raises to say how its attempt should end."""

from __future__ import annotations

from . import options
from .errors import InvalidOption
from .stop import StopReason


class Retry(Exception):
    """Fail this attempt and try again; it counts against `max_retries`.

    Args:
        after: seconds from now, 0 to 100 years; None leaves the time to the task's retry policy.
    """

    def __init__(self, after: float | None = None) -> None:
        super().__init__(after)
        self.after = None if after is None else options.seconds("Retry(after=…)", after, least=0)


class Snooze(Exception):
    """End this attempt and come back later; it counts neither as a failure nor as a retry.

    Args:
        seconds: how long to wait, 0 to 100 years.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = options.seconds("Snooze(seconds)", seconds, least=0)


class Abort(Exception):
    """Fail the task at once: no retry would help.

    Args:
        reason: for the task's `error_info`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        if not isinstance(reason, str):
            raise InvalidOption(f"Abort(reason) is {reason!r}; it should be text")
        self.reason = reason


class StopRequested(Exception):
    """Raised by `ctx.check()`: the attempt should end now.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason

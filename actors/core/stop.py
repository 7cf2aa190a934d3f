"""Why a running attempt is asked to stop."""

from __future__ import annotations

import enum


class StopReason(enum.Enum):
    """What `ctx.stopping` says. A hard time-out shows as SOFT_TIMEOUT too: its soft stage was of no length."""

    SOFT_TIMEOUT = "soft_timeout"
    CANCEL = "cancel"
    SHUTDOWN = "shutdown"

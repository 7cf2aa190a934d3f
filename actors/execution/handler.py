"""A handler as execution needs it: a function, its mode, and how its payload and result are read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..core.codec import Signature
from ..core.retry import RetryPolicy
from ..core.task import ExecutionMode


@attrs.frozen
class Handler:
    """What a task type stands for on this node."""

    task_type: str
    function: Callable[..., Any]
    mode: ExecutionMode
    takes_context: bool
    signature: Signature
    policy: RetryPolicy
    lane: str
    max_concurrency: int | None

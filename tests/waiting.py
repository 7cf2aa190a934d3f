"""Waiting for what the test cannot be told of. A loop of bare checkpoints would hold the lock that threads wait for."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio


async def until(condition: Callable[[], bool], within: float = 15.0) -> float:
    """Wait for what this process will bring about; the seconds that it took."""
    began = time.monotonic()
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # it may be anything, the rows in the file among them
            await trio.sleep(0.002)
    return time.monotonic() - began

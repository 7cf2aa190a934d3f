"""The node's memory, sampled now and then; above the soft mark nothing new is claimed, above the limit children go."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import psutil
import trio

from ..core.memory import RESUME, SOFT, is_short
from .running import Running

logger = logging.getLogger("actors.system")

SAMPLE_EVERY: Final = 1.0
MB: Final = 1e6


def used_mb() -> float:
    """Resident memory of this process and of all its descendants, in millions of bytes. It takes some milliseconds."""
    return sum(size for _, size in _resident())


def by_group() -> dict[int, float]:
    """The same by process group: a child that runs handlers leads one of its own, with all that they start."""
    sizes: defaultdict[int, float] = defaultdict(float)
    for pid, size in _resident():
        with suppress(ProcessLookupError):
            sizes[os.getpgid(pid)] += size
    return sizes


def _resident() -> Iterator[tuple[int, float]]:
    process = psutil.Process()
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # it may have ended meanwhile
            yield one.pid, one.memory_info().rss / MB


class MemoryWatch:
    """Pauses the claims of a node that is short of memory, and lets children go of one that is above its limit.

    It outlives the Monitor, which has it look.

    There is no `TaskEventType` for it, since events are of tasks: it is told by the log, and shown by the metrics.

    Args:
        limit_mb: in millions of bytes.
        relieve: lets children go; gets how many MB have to come free, and how many each process group uses.
        used_mb: takes a sample; called in a thread.

    Attributes:
        due: when to look next, on trio's clock.
    """

    def __init__(
        self,
        limit_mb: float,
        running: Running,
        relieve: Callable[[float, Mapping[int, float]], object],
        used_mb: Callable[[], float] = used_mb,
    ) -> None:
        self.limit_mb = limit_mb
        self.due = trio.current_time()
        self._running = running
        self._relieve = relieve
        self._used_mb = used_mb
        self._limiter = trio.CapacityLimiter(1)  # the service's own threads may have taken all of trio's
        self._told_stuck = False

    async def look(self) -> None:
        """Take a sample, pause claims or let them go on, and let children go."""
        try:
            used = await trio.to_thread.run_sync(self._used_mb, limiter=self._limiter)
            if used > self.limit_mb:
                self._relieve(used - self.limit_mb, await trio.to_thread.run_sync(by_group, limiter=self._limiter))
        finally:
            self.due = trio.current_time() + SAMPLE_EVERY
        self._pause_or_go_on(used)

    def _pause_or_go_on(self, used: float) -> None:
        running = self._running
        before, idle = running.short_of_memory, running.idle
        running.short_of_memory = is_short(used, self.limit_mb, before=before, idle=idle)
        if running.short_of_memory:
            self._tell_short(used, first=not before, idle=idle)
        elif before:
            self._told_stuck = False
            logger.info("this node uses %.0f MB again, and claims tasks", used, extra=self._figures(used))
            running.look_for_room()

    def _tell_short(self, used: float, *, first: bool, idle: bool) -> None:
        figures = self._figures(used)
        if first:
            logger.warning(
                "this node and its children use %.0f MB, more than %.0f %% of TASK_MEMORY_LIMIT_MB (%g): nothing new"
                " is claimed until they use less than %.0f MB",
                used, 100 * SOFT, self.limit_mb, RESUME * self.limit_mb, extra=figures,
            )  # fmt: skip
        if idle and not self._told_stuck:
            self._told_stuck = True
            logger.error(
                "nothing runs on this node, and still it uses %.0f MB of %g, so that it will claim nothing;"
                " raise TASK_MEMORY_LIMIT_MB, or start it anew",
                used, self.limit_mb, extra=figures,
            )  # fmt: skip

    def _figures(self, used: float) -> dict[str, object]:
        return {"memory_used_mb": used, "memory_limit_mb": self.limit_mb}

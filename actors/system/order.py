"""What the Scheduler has ordered from Storage: to claim, and to hand to the Workers what it claims."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ..core.request import Claimed
from ..kernel import Handle
from ..store.claim import Room
from .messages import Claim, Run, WorkerMessage
from .running import Running, ignore


class Order:
    """The standing order. It outlives both actors, so that nothing it brings is lost.

    Attributes:
        left: what was brought while a Worker's mailbox was full; the Scheduler hands it over.
        look: hints the Scheduler that something is left.
    """

    def __init__(self, running: Running, workers: Mapping[str, Handle[WorkerMessage]]) -> None:
        self._running = running
        self._workers = workers
        self.claim: Claim | None = None
        self.left: deque[Claimed] = deque()
        self.look: Callable[[], object] = ignore

    def rooms(self) -> list[Room]:
        """What can start now."""
        return self._running.rooms()

    def deliver(self, found: Sequence[Claimed]) -> None:
        """Hand claimed tasks to their lanes' Workers; never waits."""
        for lane, part in by_lane(found).items():
            if not self._workers[lane].hint(Run(part)):
                self.left.extend(part)
                self.look()

    async def deliver_left(self) -> None:
        """Hand over what was left; a crash in the middle repeats it, and Workers start no attempt twice."""
        while self.left:
            batch = list(self.left)
            for lane, part in by_lane(batch).items():
                await self._workers[lane].tell(Run(part))
            for _ in batch:
                self.left.popleft()


def by_lane(found: Sequence[Claimed]) -> dict[str, list[Claimed]]:
    """Tasks by lane, in their order."""
    lanes: dict[str, list[Claimed]] = {}
    for task in found:
        lanes.setdefault(task.lane, []).append(task)
    return lanes

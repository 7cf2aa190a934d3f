"""What can be done to stored tasks, and to the counters of them."""

from __future__ import annotations

from functools import partial

import trio

from ..core.errors import IllegalTransition, TaskNotFound
from ..core.identity import stored_id
from ..core.retention import Retention
from ..store import steer
from ..store.cleanup import Removed
from ..store.revive import FAILURES, Revival, Revived, failures
from .clock import Chance, Clock
from .door import Door
from .housekeeping import Cleanup, RemoveResults, ResetCounters
from .metrics import Meter
from .writes import Cancel, Delete, Pause, Revive


class Steering:
    """Each method is an ask or several, none of them long: other work goes on between them."""

    def __init__(self, door: Door, clock: Clock, chance: Chance, meter: Meter) -> None:
        self._door = door
        self._clock = clock
        self._chance = chance
        self._meter = meter

    async def reset_statistics(self) -> None:
        """Let the counters of what happened, and the live figures, begin anew."""
        while await self._door.ask(ResetCounters()):
            pass
        self._meter.reset(trio.current_time())

    async def cancel(self, task_id: str) -> bool | None:
        """Whether the cancel was taken; None for an unknown task."""
        found = await self._door.ask(Cancel([stored_id(task_id)]))
        return found[0].taken if found else None

    async def revive(self, task_id: str) -> None:
        """Make an ended task due again.

        Raises:
            TaskNotFound: it is not stored.
            IllegalTransition: it has not ended, or its key is taken.
        """
        found: list[Revived] = await self._door.ask(Revive([task_id], self._chance.nonce()))
        if not found:
            raise TaskNotFound.of(task_id)
        if found[0].result is not Revival.DONE:
            raise IllegalTransition(_why_not_revived(found[0]))

    async def revive_failed(self, task_type: str | None, since: float | None) -> int:
        """Make due again what failed or timed out from *since* until now, a batch at a time; how many there were."""
        until, total = self._clock.wall(), 0
        for status in FAILURES:
            behind, more = None, True
            while more:
                found = await self._door.read(
                    partial(failures, status=status, task_type=task_type, since=since, until=until, behind=behind)
                )
                if found.task_ids:
                    revive = Revive(found.task_ids, self._chance.nonce(), FAILURES)  # another may have been quicker
                    revived: list[Revived] = await self._door.ask(revive)
                    total += sum(one.result is Revival.DONE for one in revived)
                behind, more = found.behind, found.behind is not None
        return total

    async def delete(self, task_id: str) -> None:
        """Remove an ended task.

        Raises:
            TaskNotFound: it is not stored.
            IllegalTransition: it has not ended.
        """
        found: list[Removed] = await self._door.ask(Delete([task_id]))
        if not found:
            raise TaskNotFound.of(task_id)
        if not found[0].status.ended:
            name = f"task {task_id} ({found[0].task_type!r})"
            raise IllegalTransition(f"{name} is {found[0].status.value}; it can be deleted when it has ended")

    async def pause(self, kind: str, name: str, *, on: bool) -> None:
        """Pause a lane or a task type, or let it go on."""
        await self._door.ask(Pause(kind, name, on))

    async def pauses(self) -> frozenset[tuple[str, str]]:
        """What is paused: ("lane" or "task_type", name)."""
        return await self._door.read(steer.pauses)

    async def cleanup(self, kept: Retention) -> int:
        """Delete tasks that ended longer ago than this, and large results; how many tasks."""
        now, total = self._clock.wall(), 0
        while removed := await self._door.ask(Cleanup(now - kept.completed, now - kept.failed)):
            total += removed
        while await self._door.ask(RemoveResults(now - kept.large_results)):
            pass
        return total


def _why_not_revived(found: Revived) -> str:
    name = f"task {found.task_id} ({found.task_type!r})"
    if found.result is Revival.ELSEWHERE:
        return f"{name} is {found.status.value}; a task can be retried when it has ended"
    return (
        f"{name} has the key {found.key!r}, which another task of this type has taken meanwhile;"
        " it can be retried when that one has ended"
    )

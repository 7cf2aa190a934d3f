"""What attempts need of the node that runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from ..core.request import NewTask, TaskRequest
from ..core.task import Progress
from .carried import Carried
from .hooks import AttemptHooks
from .process.pool import Pool
from .resources import NO_RESOURCES, Resources

if TYPE_CHECKING:
    from .aio import AsyncioLoop
    from .attempt import Attempt


@attrs.frozen
class Surroundings:
    """One for all attempts of a node.

    Attributes:
        wall: epoch seconds.
        report: takes what a handler says of itself, in the handler's own thread.
        prepare: makes the row of a child's request, or raises what is wrong with it; in the handler's own thread.
        ended_late: told when a thread has ended that was left behind.
        hooks: what users have called around each attempt.
        pool: the child processes.
        asyncio: where asyncio handlers run, if the node has any.
        carried: the context variables that travel with tasks.
        resources: what handlers share.
    """

    wall: Callable[[], float]
    report: Callable[[Attempt, Progress], None]
    prepare: Callable[[TaskRequest], NewTask]
    ended_late: Callable[[Attempt], None]
    hooks: AttemptHooks
    pool: Pool
    asyncio: AsyncioLoop | None = None
    carried: Carried = attrs.field(factory=Carried)
    resources: Resources = NO_RESOURCES

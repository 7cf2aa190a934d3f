"""What a node is to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from ..core.events import TaskEvent
from ..core.request import NewTask, TaskRequest
from ..core.retention import Retention
from ..execution.carried import Carried
from ..execution.handler import Handler
from ..execution.hooks import AttemptHooks
from ..execution.resources import Factory
from ..kernel import Limits
from .clock import Chance


@attrs.frozen(kw_only=True)
class Plan:
    """What a node is to be; times in seconds.

    Attributes:
        lanes: slots by name.
        create: make a database that is not there.
        notifications: tell the other processes on a server what is new, and hear what they tell.
        calls_per_child: after so many a child process is replaced.
        prepare: makes the row of a request; gets the moment in epoch seconds, and where chance comes from.
        carried: the context variables that travel with tasks.
        resources: what opens each of the things that handlers share, by name, in the order of opening.
        memory_limit: millions of bytes; None: no limit.
    """

    url: str
    work: bool
    handlers: Mapping[str, Handler]
    lanes: Mapping[str, int]
    calls_per_child: int
    prepare: Callable[[TaskRequest, float, Chance], NewTask]
    callbacks: list[Callable[[TaskEvent], object]]
    hooks: AttemptHooks
    aging: float
    grace: float
    lease: float
    retention: Retention
    carried: Carried = attrs.field(factory=Carried)
    resources: Mapping[str, Factory] = attrs.field(factory=dict)
    memory_limit: float | None = None
    create: bool = True
    notifications: bool = True
    limits: Limits = attrs.field(factory=Limits)
    seed: int | None = None

"""The supervisor's book on one child."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from .child import Child
from .life import Life


@attrs.define(eq=False)
class Slot:
    """Where one child stands. The supervisor writes it, the tree's snapshot reads it."""

    child: Child[Any]
    peers: list[Slot] = attrs.field(factory=list, repr=False)
    """Those that its crash may take down, itself included, in start order."""
    life: Life[Any] | None = None
    begun: bool = False
    """Its turn in the first start has come."""
    came_up: bool = False
    """An instance of it has started, whatever became of that one."""
    down: bool = False
    """It crashed, and siblings that go down with it may still be up."""
    due: float = 0.0
    """It starts no earlier than this, on the scale of `trio.current_time`."""
    closing: bool = False
    """It is to end as soon as its mailbox is empty."""
    overdue: bool = False
    """It is to end whatever is left in its mailbox."""
    lives_over: int = 0
    restarts: int = 0
    last_error: Exception | None = None
    failed: bool = False
    """It ended by a crash."""
    ended: trio.Event = attrs.field(factory=trio.Event)

    @property
    def up(self) -> bool:
        """Whether an instance of it has started."""
        return self.life is not None and self.life.up

    @property
    def has_work(self) -> bool:
        """Whether an orderly end needs an instance."""
        return self.up or (self.begun and not self.child.mailbox.empty)

"""Scheduler: what may start, and when something comes due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import trio

from ..core.errors import StorageUnavailable
from ..kernel import Actor, ActorCrashed, Handle
from .clock import Clock
from .messages import (
    Claim,
    LookAgain,
    LookAtOrder,
    LookForRoom,
    LookForWork,
    LookOutside,
    SchedulerMessage,
    StorageMessage,
    Withdraw,
)
from .order import Order
from .running import Running
from .writes import Promote

PAUSE_AFTER_FAULT: Final = 0.5


class Scheduler(Actor[SchedulerMessage]):
    """Keeps a claim parked in Storage, which hands what it brings to the Workers, and promotes what has come due."""

    def __init__(
        self,
        clock: Clock,
        running: Running,
        order: Order,
        storage: Handle[StorageMessage],
        me: Handle[SchedulerMessage],
    ) -> None:
        self._clock = clock
        self._running = running
        self._order = order
        self._storage = storage
        self._me = me
        self._promote_at = -math.inf  # on trio's clock
        self._look_at = trio.current_time() + clock.look_every

    async def started(self) -> None:
        """See to the order of an earlier life."""
        self._order.look = self._look
        self._running.look_for_room = lambda: self._me.hint(LookForRoom())
        await self._see_to_the_order()

    def _look(self) -> None:
        self._me.hint(LookAtOrder())

    def wake_at(self) -> float:
        return self._promote_at

    async def wake(self) -> None:
        try:
            due = await self._storage.ask(Promote())
        except (ActorCrashed, StorageUnavailable):
            self._promote_at = trio.current_time() + PAUSE_AFTER_FAULT
            return
        now = trio.current_time()
        if now >= self._look_at:
            self._look_at = now + self._clock.look_every
            self._storage.hint(LookOutside())
        latest = now + self._clock.look_every
        self._promote_at = latest if due is None else min(latest, self._clock.until(due))

    async def receive(self, batch: Sequence[SchedulerMessage]) -> None:
        for message in batch:
            match message:
                case LookForWork(due):
                    soon = -math.inf if due is None else self._clock.until(due)
                    self._promote_at = min(self._promote_at, soon)
                case LookForRoom():
                    await self._storage.tell(LookAgain())
                case LookAtOrder():
                    pass  # every batch does
        await self._see_to_the_order()

    async def stopped(self) -> None:
        """Take the order back; what is left of it goes to the Workers, who return it."""
        await self._storage.ask(Withdraw())
        await self._order.deliver_left()

    async def _see_to_the_order(self) -> None:
        """Hand over what is left, and place the order anew if Storage has lost it."""
        await self._order.deliver_left()
        if self._order.claim is None or self._order.claim.answered:
            self._order.claim = Claim(self._order.rooms, self._order.deliver)
            self._order.claim.reply.then(self._look)
            await self._storage.tell(self._order.claim)

"""Starts the children of one tree, starts them again, and stops them."""

from __future__ import annotations

import enum
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import trio
from trio.lowlevel import ParkingLot, enable_ki_protection

from .actor import Stop
from .child import Child, Restart
from .errors import TreeFailed
from .life import Life
from .restarts import History, Limits
from .slot import Slot

log = logging.getLogger("actors.kernel")


class Strategy(enum.Enum):
    """Who goes down with a child that crashed."""

    ONE_FOR_ONE = "one_for_one"
    """No one."""
    ONE_FOR_ALL = "one_for_all"
    """Every sibling."""
    REST_FOR_ONE = "rest_for_one"
    """The siblings that were started after it."""


class Supervisor:
    """Tasks that share one book.

    One task per *life*, and one *keeper* per group of peers. A life only notes
    how it ended; the keeper looks at the whole group after each change and
    takes the next step. So a crash in the midst of a stop, a start or a
    back-off needs no case of its own. Each task stands in a shielded scope:
    an outer cancel reaches the block alone, and `stop` decides the order.
    """

    def __init__(self, children: Sequence[Child[Any]], strategy: Strategy, limits: Limits) -> None:
        self.slots = [Slot(child) for child in children]
        self.block = trio.CancelScope()
        """Cancelled when the tree fails."""
        self.failure: TreeFailed | None = None
        self.stopped = trio.Event()
        self._groups = [[slot] for slot in self.slots] if strategy is Strategy.ONE_FOR_ONE else [self.slots]
        self._strategy = strategy
        self._history = History(limits)
        self._changed = ParkingLot()
        for group in self._groups:
            for slot in group:
                slot.peers = group

    @enable_ki_protection
    async def start(self, nursery: trio.Nursery) -> None:
        """Start each child when the one before it has started, or has ended."""
        self._nursery = nursery
        for group in self._groups:
            nursery.start_soon(self._keep, group)
        for slot in self.slots:
            slot.begun = True
            self._ring()
            while not (slot.came_up or slot.ended.is_set()):
                await self._changed.park()
            await trio.lowlevel.checkpoint_if_cancelled()  # that it ended may have failed the tree

    @enable_ki_protection
    async def stop(self) -> None:
        """Stop every child, the last one first; a child that is not reached yet is still kept."""
        try:
            with trio.CancelScope(shield=True):
                for slot in reversed(self.slots):
                    await self._stop(slot)
        finally:
            self.stopped.set()

    async def _stop(self, slot: Slot) -> None:
        slot.closing = True
        slot.child.mailbox.close()
        self._ring()
        if slot.has_work:
            with trio.move_on_after(slot.child.stop_within):
                await slot.ended.wait()
        slot.overdue = True
        if slot.life is not None:
            await self._cut(slot, slot.life)
        elif not slot.ended.is_set():
            self._end(slot)

    async def _cut(self, slot: Slot, life: Life[Any]) -> None:
        if life.up:
            log.warning("actor %r did not stop within %g s and is cut off", slot.child.name, slot.child.stop_within)
        life.cut()
        await life.over.wait()

    # The keeper of a group

    @enable_ki_protection
    async def _keep(self, group: list[Slot]) -> None:
        with trio.CancelScope(shield=True):
            while not all(slot.ended.is_set() for slot in group):
                await self._step(group)

    async def _step(self, group: list[Slot]) -> None:
        victim = self._victim(group)
        if victim is not None and victim.life is not None:
            await self._retire(victim, victim.life)
            return
        for slot in group:
            slot.down = False
        await self._start_next(_next_to_start(group))

    async def _start_next(self, slot: Slot | None) -> None:
        if slot is None:
            await self._changed.park()
        elif trio.current_time() < slot.due:
            with trio.move_on_at(slot.due):
                await self._changed.park()
        else:
            self._launch(slot)

    def _victim(self, group: list[Slot]) -> Slot | None:
        """The last of those that still have to go down with one that crashed."""
        crashed = next((place for place, slot in enumerate(group) if slot.down), None)
        if crashed is None:
            return None
        first = 0 if self._strategy is Strategy.ONE_FOR_ALL else crashed
        return next((slot for slot in reversed(group[first:]) if slot.life is not None and not slot.closing), None)

    async def _retire(self, slot: Slot, life: Life[Any]) -> None:
        life.retire()
        with trio.move_on_after(slot.child.stop_within):
            await life.over.wait()
        if not life.over.is_set():
            await self._cut(slot, life)

    def _launch(self, slot: Slot) -> None:
        slot.life = Life(slot.child.create, slot.child.mailbox, partial(self._came_up, slot))
        self._nursery.start_soon(self._live, slot, slot.life, name=f"actor {slot.child.name}")

    def _came_up(self, slot: Slot) -> None:
        slot.came_up = True
        self._ring()

    # The task of a life

    @enable_ki_protection
    async def _live(self, slot: Slot, life: Life[Any]) -> None:
        try:
            await life.run()
        except Exception as error:
            self._bury(slot, life, error)
        except BaseException:
            self._end(slot)
            raise
        else:
            self._bury(slot, life, None)
        finally:
            slot.life = None
            life.over.set()
            self._ring()

    def _bury(self, slot: Slot, life: Life[Any], ending: Exception | None) -> None:
        """Decide what follows a life that ended by a crash, by `Stop`, or because it was told to (None)."""
        mailbox, restart = slot.child.mailbox, slot.child.restart
        crash = None if isinstance(ending, Stop) else ending
        slot.lives_over += 1
        if crash is None:
            mailbox.left()
        else:
            slot.last_error = crash
            mailbox.crashed(crash)
        if slot.overdue or (slot.closing and mailbox.empty) or restart is Restart.TEMPORARY:
            self._end(slot, crash)
        elif life.retired or ending is None:
            if crash is not None:
                log.warning("actor %r crashed while it went down with a sibling", slot.child.name, exc_info=crash)
        elif crash is None and restart is Restart.TRANSIENT:
            self._end(slot)
        else:
            self._restart(slot, ending)

    def _restart(self, slot: Slot, ending: Exception) -> None:
        now = trio.current_time()
        self._history = self._history.crashed(slot.child.name, now)
        delay = self._history.delay()
        if delay is None:
            self._give_up(slot, ending)
            return
        slot.restarts += 1
        slot.down = True
        for peer in slot.peers:  # those that go down with it wait as long as it does
            peer.due = now + delay
        log.warning("actor %r %s and starts again in %g s", slot.child.name, _how(ending), delay, exc_info=ending)

    def _give_up(self, slot: Slot, ending: Exception) -> None:
        limits = self._history.limits
        text = (
            f"actor {slot.child.name!r} {_how(ending)}; {limits.restarts} restarts in {limits.within:g} s are the limit"
        )
        log.error("%s", text, exc_info=ending)
        slot.failed = True
        self._end(slot)
        if self.failure is None:
            self.failure = TreeFailed(text)
            self.failure.__cause__ = ending
            self.block.cancel(reason=text)

    def _end(self, slot: Slot, crash: Exception | None = None) -> None:
        if crash is not None:
            slot.failed = True
            log.warning("actor %r crashed and is not started again", slot.child.name, exc_info=crash)
        slot.child.mailbox.close()
        slot.child.mailbox.left()
        lost = slot.child.mailbox.abandon()
        if lost:
            log.warning("actor %r ended with %d messages that it did not handle", slot.child.name, lost)
        slot.ended.set()
        self._ring()

    def _ring(self) -> None:
        self._changed.unpark_all()


def _how(ending: Exception) -> str:
    return "finished" if isinstance(ending, Stop) else "crashed"


def _next_to_start(group: list[Slot]) -> Slot | None:
    """The first that is not up, when all before it are."""
    for slot in group:
        if slot.life is not None:
            if not slot.life.up:
                return None
        elif slot.begun and not slot.ended.is_set():
            return slot
    return None

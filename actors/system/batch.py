"""Tasks that one submitter stores as fast as he takes their ends: never more than so many in between."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import attrs
import trio

from ..core.errors import NotRunning, StorageUnavailable
from ..core.request import NewTask, Receipt
from ..kernel import Ask
from ..store.views import Ended
from .door import Door
from .waiters import Waiters
from .writes import Cancel, Submit

logger = logging.getLogger("actors.system")

CANCEL_WITHIN: Final = 5.0
"""Seconds for which a batch that is left waits until the tasks that nobody waits for any more are cancelled."""


@attrs.frozen(eq=False)
class Given:
    """A task that was stored, and whose end was not taken."""

    task_id: str
    created: bool
    wait: Ask[Ended] = attrs.field(factory=Ask)


class Batch:
    """What is stored and not taken. No trio task waits for a task: the ends come from the `Waiters`.

    Args:
        look_up: has the ends of tasks looked up that may have ended already.
        most: how many tasks may be stored and not taken.
        ordered: whether ends are taken in the order of storing, or as they come.
    """

    def __init__(
        self, door: Door, waiters: Waiters, look_up: Callable[[], object], most: int, *, ordered: bool
    ) -> None:
        self._door = door
        self._waiters = waiters
        self._look_up = look_up
        self._most = most
        self._ordered = ordered
        self._given: dict[int, Given] = {}
        self._ended: deque[int] = deque()
        self._stored = self._first = 0
        self._finished = False
        self._fault: BaseException | None = None
        self._news = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()

    async def room_for(self, count: int) -> None:
        """Wait until *count* more tasks may be stored."""
        while len(self._given) + count > self._most:
            await self._taken.park()

    async def store(self, rows: Sequence[NewTask]) -> None:
        """Store *rows* in one commit. A cancel waits for that: whether they are stored has to be known."""
        submit = Submit(rows)
        submit.reply.then(partial(self._note, submit))
        with trio.CancelScope(shield=True):
            await self._door.ask(submit)

    def _note(self, submit: Submit) -> None:
        """Wait for the ends, from inside of Storage's turn: none of them can come before."""
        try:
            receipts: list[Receipt] = submit.reply.result()
        except Exception:
            return  # whoever asked hears of it
        for receipt in receipts:
            one, place = Given(receipt.task_id, receipt.created), self._stored
            self._given[place] = one
            self._stored += 1
            one.wait.reply.then(partial(self._end, place))
            self._waiters.add(one.task_id, one.wait, self._look_up, known=one.created)

    def _end(self, place: int) -> None:
        if not self._ordered:
            self._ended.append(place)
        self._news.unpark_all()

    def finish(self, fault: BaseException | None = None) -> None:
        """Nothing more will be stored, because of *fault*, or since that was all."""
        self._finished, self._fault = True, fault
        self._news.unpark_all()

    async def take(self) -> Ended | None:
        """The next end; None after the last.

        Raises:
            TaskNotFound: the next one is not stored any longer.
            NotRunning: the task system stops.
            BaseException: what ended the storing, after the ends of all that was stored.
        """
        await trio.lowlevel.checkpoint()
        while (place := self._next()) is None:
            if self._finished and not self._given:
                fault, self._fault = self._fault, None
                if fault is not None:
                    raise fault
                return None
            await self._news.park()
        one = self._given.pop(place)
        self._taken.unpark_all()
        return one.wait.reply.result()

    def _next(self) -> int | None:
        if not self._ordered:
            return self._ended.popleft() if self._ended else None
        first = self._given.get(self._first)
        if first is None or not first.wait.answered:
            return None
        self._first += 1
        return self._first - 1

    async def leave(self, *, keep: bool) -> None:
        """Wait for nothing more, and cancel what has not ended, unless it is to be kept; no one else's tasks."""
        left = [one for one in self._given.values() if not one.wait.answered]
        for one in left:
            self._waiters.remove(one.task_id, one.wait)
        mine = [one.task_id for one in left if one.created]
        if not mine or keep:
            return
        try:
            with trio.fail_after(CANCEL_WITHIN) as scope:
                scope.shield = True
                await self._door.ask(Cancel(mine))
        except (NotRunning, StorageUnavailable, trio.TooSlowError) as error:
            logger.warning("%d tasks of a map that was left are not cancelled, and go on: %r", len(mine), error)

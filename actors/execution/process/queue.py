"""Calls that wait for a child process, and which child each of them gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import trio

from .child_process import ChildProcess
from .pace import BUDGET, Pace
from .turn import Turn

LAST_WAIT: Final = 2.0
"""Seconds that a child gets to end in order, or to be buried."""
PATIENCE: Final = 3 * BUDGET
"""Seconds for which a call may keep those waiting that were sent behind it."""
MOST_WAIT: Final = 1.0
"""Seconds after which a call that found no child is given back, so that another node, or a later claim, may have it."""


class Children(Protocol):
    """Where children come from."""

    def idle_one(self) -> ChildProcess | None:
        """A child that does nothing."""

    def give_back(self, child: ChildProcess) -> None:
        """It does nothing any more."""

    def provide(self) -> None:
        """See to it that there will be children for those that wait."""

    def soon(self, function: Callable[[], None]) -> None:
        """Have it called in the next turn of the event loop."""

    def calls_left(self, child: ChildProcess) -> int:
        """How many more it may be given."""


class Queue:
    """Gives each turn its child: one for itself, or, if its type is small, one that works for others too.

    Args:
        slots: how many children should work at a time. It holds back small turns alone; others are bounded by their
            lanes. One child works for small turns in any case.
    """

    def __init__(self, children: Children, slots: int, pace: Pace) -> None:
        self._children = children
        self._slots = slots
        self._pace = pace
        self._alone: deque[Turn] = deque()
        self._small: deque[Turn] = deque()
        self._working: set[ChildProcess] = set()
        self._shared: set[ChildProcess] = set()
        self._slow: set[ChildProcess] = set()
        self._soon = False

    @property
    def waiting(self) -> int:
        """How many more children are wanted now."""
        return len(self._alone) + (bool(self._small) and self._may_share_another)

    @property
    def working(self) -> list[ChildProcess]:
        """The children that have been given something, and have not done all of it."""
        return list(self._working)

    @property
    def _may_share_another(self) -> bool:
        return len(self._shared) < max(1, self._slots - len(self._working) + len(self._shared))

    def enter(self, turn: Turn) -> None:
        """Let it wait for its child.

        Those that go behind others are sent together, when all that have begun in the same turn of the event loop are
        here: a child that is woken for each of them would cost more than they do.
        """
        if turn.small and self._shared:
            self._small.append(turn)
            self._assign_soon()
        else:
            (self._small if turn.small else self._alone).append(turn)
            self.assign()

    def enter_again(self, turns: Iterable[Turn]) -> None:
        """Let those wait that were given to a child and had not begun; before all others."""
        for turn in reversed(list(turns)):
            (self._small if turn.small else self._alone).appendleft(turn)
        self.assign()

    def leave(self, turn: Turn) -> None:
        """It is over, whatever has become of it."""
        if turn.child is not None and self._let_go(turn.child):
            self.assign()
        elif self._small:
            self._assign_soon()

    def _let_go(self, child: ChildProcess) -> bool:
        """Whether it may do something else, since it has done all that it was given."""
        if child.turns or child not in self._working:
            return False
        self._forget(child)
        self._children.give_back(child)
        return True

    def bury(self, child: ChildProcess, left: Iterable[Turn]) -> None:
        """It is dead; those *left* had not begun. If nobody waits, it is replaced when one is needed."""
        self._forget(child)
        if (found := list(left)) or self._alone or self._small:
            self.enter_again(found)

    def _forget(self, child: ChildProcess) -> None:
        for children in (self._working, self._shared, self._slow):
            children.discard(child)

    def call_off(self, turn: Turn) -> bool:
        """Take a small turn out, if it has not begun."""
        if turn.child is None:
            return _remove(turn, self._small)
        if not turn.small or turn not in turn.child.turns:
            return False
        found = self._take_back(turn.child)
        self.enter_again(other for other in found if other is not turn)
        return turn in found

    def _take_back(self, child: ChildProcess) -> list[Turn]:
        found = child.take_back()
        self._let_go(child)
        return found

    async def withdraw(self, turn: Turn) -> None:
        """End it at once: if it has begun, by a kill."""
        if self.call_off(turn) or _remove(turn, self._alone):
            return
        if turn.child is not None and turn in turn.child.turns:
            turn.child.kill()
            with trio.move_on_after(LAST_WAIT, shield=True):
                await turn.child.gone.wait()

    def fail_one(self, problem: Exception) -> None:
        """Tell the first of those that wait that there will be no child for it."""
        waiting = self._alone or self._small
        if waiting:
            waiting.popleft().fail(problem)

    def _assign_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self._children.soon(self.assign)

    def assign(self) -> None:
        """Give children to those that wait, in their order."""
        self._soon = False
        while self._alone and (child := self._children.idle_one()) is not None:
            self._working.add(child)
            child.give(self._alone.popleft())
        while self._small and (child := self._seat(self._small[0].task_type)) is not None:
            if not child.give(self._small[0]):
                break
            self._small.popleft()
        self._children.provide()

    def _seat(self, task_type: str) -> ChildProcess | None:
        """An idle child while there may be more at work, else the one with the shortest line that has room."""
        if self._may_share_another and (idle := self._children.idle_one()) is not None:
            self._working.add(idle)
            self._shared.add(idle)
            return idle
        depth = self._pace.depth(task_type)
        open_to_it = [child for child in self._shared if self._has_room(child, depth)]
        return min(open_to_it, key=_length, default=None)

    def _has_room(self, child: ChildProcess, depth: int) -> bool:
        return len(child.turns) < depth and child not in self._slow and self._children.calls_left(child) > 0

    @property
    def is_deep(self) -> bool:
        """Whether there is anyone who may have to wait for a call that takes longer than it should."""
        return bool(self._small) or any(len(child.turns) > 1 for child in self._shared)

    def relieve(self, *, starting: bool) -> None:
        """Take from behind calls that take long what waits there; and give back what has waited too long."""
        now = trio.current_time()
        for child in list(self._shared):
            if not child.turns or child.since + PATIENCE > now or child.has_spoken:  # this loop may have been slow
                self._slow.discard(child)
            elif child not in self._slow:
                self._slow.add(child)
                left = self._take_back(child)
                if child.turns:  # else it has not even begun with the first: that is the machine's fault
                    self._pace.saw(child.turns[0].task_type, now - child.since)
                self.enter_again(left)
        if not starting:
            for turn in [turn for turn in self._small if turn.entered + MOST_WAIT <= now]:
                turn.give_back()


def _length(child: ChildProcess) -> int:
    return len(child.turns)


def _remove(turn: Turn, waiting: deque[Turn]) -> bool:
    if turn not in waiting:
        return False
    waiting.remove(turn)
    return True

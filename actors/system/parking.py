"""The claim that waits in Storage, and what is worth trying for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from ..store.claim import Room
from .messages import Claim
from .transaction import Transaction, Write
from .writes import Pause, Submit


@attrs.frozen
class Chances:
    """What a transaction may start.

    Attributes:
        rooms: where a claim may find something, and could start it.
        express: lanes that were empty, and have room for all that is submitted: it is stored as running, unclaimed.
    """

    rooms: Sequence[Room]
    express: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.rooms or self.express)


NONE = Chances((), frozenset())


class Parking:
    """Holds the Scheduler's standing order.

    A claim costs a seek for each lane and type. Most transactions make nothing claimable, or something in one lane
    only; so this remembers the lanes in which there may be something: those in which a write has stirred, and those
    that had no room for all that was there.

    Attributes:
        suspect_waits: a task that has to run alone waits for the others to end.
    """

    def __init__(self) -> None:
        self._claim: Claim | None = None
        self._lanes: frozenset[str] | None = None  # None: all
        self.suspect_waits = False

    def park(self, claim: Claim) -> None:
        """Take the order in place of the one before."""
        self.withdraw()
        self._claim = claim

    def withdraw(self) -> None:
        """End the order."""
        if self._claim is not None:
            self._claim.answer(None)
            self._claim = None

    def stir(self, lanes: frozenset[str] | None = None) -> None:
        """There may be work in *lanes*; None: in any."""
        self._lanes = None if lanes is None or self._lanes is None else self._lanes | lanes

    def chances(self, writes: Sequence[Write]) -> Chances:
        """What a transaction of *writes* may start; what they stir is remembered until it was tried."""
        before, submitted = self._lanes, _stirred(write for write in writes if isinstance(write, Submit))
        others = _stirred(write for write in writes if not isinstance(write, Submit))
        self._lanes = None if before is None or submitted is None or others is None else before | submitted | others
        if self._claim is None or (self._lanes is not None and not self._lanes):
            return NONE
        if any(isinstance(write, Pause) for write in writes):
            return NONE  # what it pauses may not start any more; Storage tries again right after it
        rooms = {room.lane: room for room in self._claim.rooms() if room.slots > 0}
        if before is None or submitted is None or others is None or self.suspect_waits:
            return Chances([room for lane, room in rooms.items() if self._is_worth(lane)], frozenset())
        quiet = submitted - before - others
        express = _express(writes, [room for lane, room in rooms.items() if lane in quiet])
        return Chances([room for lane, room in rooms.items() if self._is_worth(lane) and lane not in express], express)

    def _is_worth(self, lane: str) -> bool:
        return self._lanes is None or lane in self._lanes

    def tried(self, chances: Chances, transaction: Transaction) -> None:
        """Learn from a transaction, and deliver what it brought."""
        # One that was started alone may have left others behind, and keeps everyone else waiting.
        self.suspect_waits = transaction.alone_waits or any(task.alone for task in transaction.claimed)
        if not self.suspect_waits:
            seen = {room.lane for room in chances.rooms} | chances.express
            lanes = {room.lane for room in self._claim.rooms()} if self._claim and self._lanes is None else self._lanes
            self._lanes = (frozenset(lanes or ()) - seen) | _filled(chances.rooms, transaction)
        if transaction.claimed and self._claim is not None:
            self._claim.deliver(transaction.claimed)


def _stirred(writes: Iterable[Write]) -> frozenset[str] | None:
    """The lanes in which *writes* may make something claimable; None: any."""
    lanes: set[str] = set()
    for write in writes:
        stirs = write.stirs()
        if stirs is None:
            return None
        lanes.update(stirs)
    return frozenset(lanes)


def _express(writes: Iterable[Write], rooms: Sequence[Room]) -> frozenset[str]:
    """Those of *rooms* that hold all that is submitted to them, and share no write with a lane that does not."""
    submits = [write for write in writes if isinstance(write, Submit)]
    rows = [row for submit in submits for row in submit.rows]
    wanted, types = Counter([row.lane for row in rows]), Counter([row.task_type for row in rows])
    lanes = {
        room.lane
        for room in rooms
        if wanted[room.lane] <= room.slots and all(count <= room.types.get(name, 0) for name, count in types.items())
    }
    groups = {(frozenset([row.lane for row in submit.rows]), submit.only_due) for submit in submits}
    while spoilt := {lane for group, due in groups if not (due and group <= lanes) for lane in group & lanes}:
        lanes -= spoilt
    return frozenset(lanes)


def _filled(rooms: Sequence[Room], transaction: Transaction) -> frozenset[str]:
    """The lanes in which there may be more than there was room for."""
    lanes = Counter(task.lane for task in transaction.claimed)
    types = Counter(task.task_type for task in transaction.claimed)
    return frozenset(
        room.lane
        for room in rooms
        if lanes[room.lane] >= room.slots or any(types[name] >= left for name, left in room.types.items())
    )

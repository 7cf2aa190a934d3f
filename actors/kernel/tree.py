"""What can be seen of a running tree."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from .slot import Slot


class State(enum.Enum):
    """Where a child stands."""

    STARTING = "starting"
    """Waits for its turn, or is in its first `started`."""
    RUNNING = "running"
    RESTARTING = "restarting"
    """Goes down with a sibling, waits for its restart, or is in a later `started`."""
    STOPPING = "stopping"
    """Takes no more messages and handles what is left."""
    STOPPED = "stopped"
    FAILED = "failed"
    """Ended by a crash."""


@attrs.frozen
class ChildSnapshot:
    """One child at one moment. Counts are since the child was made; a restart does not reset them."""

    name: str
    state: State
    depth: int
    """Messages that wait in the mailbox."""
    peak: int
    """The most that the actor ever found waiting."""
    handled: int
    hints_dropped: int
    dead_letters: int
    restarts: int
    last_error: str | None
    """Type and text of the last crash."""


class Tree:
    """The tree that runs inside the block of `supervise`."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots

    def snapshot(self) -> tuple[ChildSnapshot, ...]:
        """Every child now, in start order. Cheap: no I/O, no waiting; good after the block too."""
        return tuple(_snapshot(slot) for slot in self._slots)


def _snapshot(slot: Slot) -> ChildSnapshot:
    mailbox = slot.child.mailbox.statistics()
    error = slot.last_error
    return ChildSnapshot(
        name=slot.child.name,
        state=_state(slot),
        depth=mailbox.depth,
        peak=mailbox.peak,
        handled=mailbox.handled,
        hints_dropped=mailbox.hints_dropped,
        dead_letters=mailbox.dead_letters,
        restarts=slot.restarts,
        last_error=None if error is None else f"{type(error).__name__}: {error}",
    )


def _state(slot: Slot) -> State:
    if slot.ended.is_set():
        return State.FAILED if slot.failed else State.STOPPED
    if slot.closing:
        return State.STOPPING
    if slot.life is not None and slot.life.retired:
        return State.RESTARTING
    if slot.up:
        return State.RUNNING
    return State.RESTARTING if slot.lives_over else State.STARTING

"""A child of a tree: which actor, and how it is run."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Generic, TypeVar

from .actor import Actor
from .handle import Handle
from .mailbox import DeadLetter, Mailbox

M = TypeVar("M")


class Restart(enum.Enum):
    """Whether a child whose instance has ended gets another one."""

    PERMANENT = "permanent"
    """Always: after a crash, and after `Stop` too, which then counts as a crash to its siblings and to the limits."""
    TRANSIENT = "transient"
    """After a crash; `Stop` ends it."""
    TEMPORARY = "temporary"
    """Never. Its crash is its own: it takes no sibling down, and one that goes down with a sibling stays down."""


class Child(Generic[M]):
    """One place in a tree, and its mailbox. It runs in one tree, once."""

    def __init__(
        self,
        name: str,
        create: Callable[[], Actor[M]],
        *,
        capacity: int = 1000,
        restart: Restart = Restart.PERMANENT,
        stop_within: float = 5.0,
    ) -> None:
        """
        Args:
            name: unique in its tree; stands in logs, errors and snapshots.
            create: makes each instance; that it raises is a crash.
            capacity: messages that the mailbox holds, 1 or more; then senders wait.
            restart: what follows the end of an instance.
            stop_within: seconds for an orderly stop, the rest of the mailbox included; then it is cancelled.

        Raises:
            ValueError: *capacity* is below 1.
        """
        self.name = name
        self.create = create
        self.restart = restart
        self.stop_within = stop_within
        self.mailbox: Mailbox[M] = Mailbox(name, capacity)
        self.handle: Handle[M] = Handle(self.mailbox)

    def __repr__(self) -> str:
        return f"<Child {self.name!r}>"

    @property
    def dead_letters(self) -> tuple[DeadLetter[M], ...]:
        """The messages that were given up, oldest first: the last 100 of them."""
        return tuple(self.mailbox.dead_letters)

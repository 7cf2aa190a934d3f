"""What the actors say to each other. Imperatives ask for something; `Look…` are hints, and may be lost.

What Storage is asked to write stands in `writes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs

from ..core.outcome import Outcome
from ..core.request import Claimed
from ..execution.attempt import Attempt
from ..kernel import Ask
from ..store import claim
from ..store.connection import Connection
from .transaction import Transaction, Write


@attrs.frozen
class Claim(Ask[None]):
    """A standing order: lease what *rooms* can start, whenever there is something. The latest one counts.

    It is answered when it ends: withdrawn, or followed by another.

    Attributes:
        rooms: looks at the room at the time of each transaction.
        deliver: takes what was claimed, after the commit; it must neither wait nor raise.
    """

    rooms: Callable[[], Sequence[claim.Room]]
    deliver: Callable[[Sequence[Claimed]], None]


@attrs.frozen
class Withdraw(Ask[None]):
    """End the standing order."""


@attrs.frozen
class Read(Ask[Any]):
    """Run *query* on the reader's connection; answers what it returns."""

    query: Callable[[Connection], Any]


@attrs.frozen
class LookUp:
    """Someone waits for a task that does not run here."""


@attrs.frozen
class LookAgain:
    """There is room, or work, that no transaction of this node has told of; in these *lanes*, None: in any."""

    lanes: frozenset[str] | None = None


@attrs.frozen
class LookOutside:
    """Another process has written to the database."""


@attrs.frozen
class LookAtLeases:
    """This node's row is gone: others have taken it for dead, and its tasks over."""


StorageMessage: TypeAlias = Write | Claim | Withdraw | Read | LookUp | LookAgain | LookOutside | LookAtLeases


@attrs.frozen
class Run:
    """Start these attempts."""

    tasks: Sequence[Claimed]


@attrs.frozen
class LookAtOutbox:
    """Attempts have ended."""


WorkerMessage: TypeAlias = Run | LookAtOutbox


@attrs.frozen
class Failed:
    """Decide what becomes of attempts that did not succeed, and have it stored."""

    attempts: Sequence[tuple[Attempt, Outcome]]


@attrs.frozen
class LookAtDeadlines:
    """One comes before the one that is waited for."""


@attrs.frozen
class CancelRunning:
    """Stop these attempts, (seq, attempt), since their tasks were cancelled."""

    attempts: Sequence[tuple[int, int]]


TimeoutMessage: TypeAlias = LookAtDeadlines | CancelRunning


@attrs.frozen
class LookForWork:
    """Something is to come due: at *due*, in epoch seconds; None: another process wrote, and nobody knows when."""

    due: float | None = None


@attrs.frozen
class LookForRoom:
    """A slot has come free."""


@attrs.frozen
class LookAtOrder:
    """The standing order has ended, or has brought more than a Worker's mailbox could take."""


SchedulerMessage: TypeAlias = LookForWork | LookForRoom | LookAtOrder


@attrs.frozen
class Committed:
    """What a transaction has done."""

    transaction: Transaction


@attrs.frozen
class LookAtProgress:
    """A handler has said something of itself."""


@attrs.frozen
class LookAtReplies:
    """A channel is to be told of the end of a task."""


@attrs.frozen
class SoftTimedOut:
    """An attempt has reached its soft stage by time."""

    attempt: Attempt


@attrs.frozen
class Stuck:
    """An attempt did not end at its hard stage."""

    attempt: Attempt


MonitorMessage: TypeAlias = Committed | LookAtProgress | LookAtReplies | SoftTimedOut | Stuck

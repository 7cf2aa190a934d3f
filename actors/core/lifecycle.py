"""The life of a task: one table, read by the code, by the SQL fences and by the documentation.

Every state can reach an end, and only `revive` leaves one. A write that applies an event carries
`status IN sources(event)` in its WHERE, so that a late or repeated write changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from .errors import IllegalTransition
from .task import TaskStatus


class Transition(enum.Enum):
    """What a task's row can be told."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    TIME_OUT = "time_out"
    RETRY = "retry"
    SNOOZE = "snooze"
    GIVE_BACK = "give_back"
    RECOVER = "recover"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REVIVE = "revive"


_S, _T = TaskStatus, Transition

TRANSITIONS: Final[Mapping[tuple[TaskStatus, Transition], TaskStatus]] = {
    (_S.PENDING, _T.CLAIM): _S.RUNNING,
    (_S.PENDING, _T.CANCEL): _S.CANCELLED,
    (_S.PENDING, _T.EXPIRE): _S.TIMEOUT,
    (_S.RETRYING, _T.CLAIM): _S.RUNNING,
    (_S.RETRYING, _T.CANCEL): _S.CANCELLED,
    (_S.RETRYING, _T.EXPIRE): _S.TIMEOUT,
    (_S.RUNNING, _T.COMPLETE): _S.COMPLETED,
    (_S.RUNNING, _T.FAIL): _S.FAILED,
    (_S.RUNNING, _T.TIME_OUT): _S.TIMEOUT,
    (_S.RUNNING, _T.RETRY): _S.RETRYING,
    (_S.RUNNING, _T.SNOOZE): _S.PENDING,
    (_S.RUNNING, _T.GIVE_BACK): _S.PENDING,
    (_S.RUNNING, _T.RECOVER): _S.PENDING,
    (_S.RUNNING, _T.CANCEL): _S.CANCELLED,
    (_S.COMPLETED, _T.REVIVE): _S.PENDING,
    (_S.FAILED, _T.REVIVE): _S.PENDING,
    (_S.CANCELLED, _T.REVIVE): _S.PENDING,
    (_S.TIMEOUT, _T.REVIVE): _S.PENDING,
}


def after(status: TaskStatus, transition: Transition) -> TaskStatus:
    """The state that *transition* leads to.

    Raises:
        IllegalTransition: *status* does not take it.
    """
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        takes = ", ".join(repr(t.value) for s, t in TRANSITIONS if s is status)
        raise IllegalTransition(f"a {status.value} task cannot take {transition.value!r}; it takes {takes}") from None


def sources(transition: Transition) -> frozenset[TaskStatus]:
    """The states that take *transition*: the WHERE of the UPDATE that applies it."""
    return frozenset(status for status, t in TRANSITIONS if t is transition)


def target(transition: Transition) -> TaskStatus:
    """The one state that *transition* leads to, whatever it starts from."""
    (status,) = {to for (_, t), to in TRANSITIONS.items() if t is transition}
    return status

"""Actors on trio: a mailbox, a loop that drains it, and a tree that starts, restarts and stops them.

It knows no task and no database; it needs trio and attrs, and nothing else of
the package around it. No registry, no links, no stash, no remote actors:
nurseries and the database do that.
"""

from __future__ import annotations

from .actor import Actor, Stop
from .ask import Ask, Reply
from .child import Child, Restart
from .errors import ActorCrashed, ActorStopped, KernelError, TreeFailed
from .handle import Handle
from .mailbox import DeadLetter, MailboxStatistics
from .probe import Probe
from .restarts import Limits
from .supervise import supervise
from .supervisor import Strategy
from .tree import ChildSnapshot, State, Tree

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorStopped",
    "Ask",
    "Child",
    "ChildSnapshot",
    "DeadLetter",
    "Handle",
    "KernelError",
    "Limits",
    "MailboxStatistics",
    "Probe",
    "Reply",
    "Restart",
    "State",
    "Stop",
    "Strategy",
    "Tree",
    "TreeFailed",
    "supervise",
]

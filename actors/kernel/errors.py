"""What an asker, or whoever runs a tree, may have to catch."""

from __future__ import annotations


class KernelError(Exception):
    """The root of the kernel's errors."""


class ActorCrashed(KernelError):
    """The actor crashed on this message, or while it owed this answer; ``__cause__`` is what it raised."""


class ActorStopped(KernelError):
    """The actor has stopped, or is stopping: it takes no more messages, and gives no more answers."""


class TreeFailed(KernelError):
    """A child crashed more often than its tree's limits allow; ``__cause__`` is its last error."""


def crashed(name: str, error: BaseException) -> ActorCrashed:
    """The error of one ask to the actor *name*, caused by *error*; each ask gets one of its own."""
    crash = ActorCrashed(f"actor {name!r} crashed: {type(error).__name__}: {error}")
    crash.__cause__ = error
    return crash

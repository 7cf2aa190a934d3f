"""A tree of actors as a block: inside it they run, after it they have stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import trio
from trio.lowlevel import enable_ki_protection

from .child import Child
from .errors import TreeFailed
from .restarts import DEFAULT_LIMITS, Limits
from .supervisor import Strategy, Supervisor
from .tree import Tree


@asynccontextmanager
@enable_ki_protection  # Ctrl-C belongs to the block; in here, and in the actors, it would leave half a stop behind
async def supervise(
    children: Sequence[Child[Any]],
    *,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    limits: Limits = DEFAULT_LIMITS,
    interrupted: Callable[[], None] | None = None,
) -> AsyncIterator[Tree]:
    """Run *children* while the block runs.

    Each has started before the next one starts, and all before the block
    begins. However the block is left, they are stopped in reverse order, each
    within its `stop_within` seconds: it takes no more messages, handles what
    is queued, and its `stopped` is called.

    Args:
        children: in start order, with unique names; none of them has run before.
        strategy: who goes down with a child that crashed.
        limits: the restarts that the tree allows; past them the block is cancelled.
        interrupted: called at each Ctrl-C that arrives during the stop. It must not raise. The stop goes on.

    Raises:
        TreeFailed: the limits were exceeded. If the block itself raised, that error leaves, with this in its context.
        KeyboardInterrupt: Ctrl-C arrived in the block, or during the stop, which came to its end all the same.
        ValueError: a name is there twice, or a child has run before.
    """
    _check(children)
    supervisor = Supervisor(children, strategy, limits)
    error: BaseException | None = None
    interrupt: KeyboardInterrupt | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                with supervisor.block:
                    await supervisor.start(nursery)
                    yield Tree(supervisor.slots)
            except BaseException as raised:  # it leaves below: the nursery would wrap it into a group
                error = raised
            nursery.start_soon(supervisor.stop)
            interrupt = await _see_the_stop_through(supervisor.stopped, interrupted)
    except BaseExceptionGroup as stray:  # a SystemExit in an actor, or Ctrl-C as the last task ended
        raise stray.exceptions[0] from stray
    try:
        _raise(supervisor.failure, error, interrupt)
    finally:
        del error, interrupt  # each holds this frame through its traceback


def _check(children: Sequence[Child[Any]]) -> None:
    for name, count in Counter(child.name for child in children).items():
        if count > 1:
            raise ValueError(f"{count} children are named {name!r}; a name is unique in its tree")
    for child in children:
        if child.mailbox.closed:
            raise ValueError(f"child {child.name!r} has run before; make a new one")


async def _see_the_stop_through(
    stopped: trio.Event, interrupted: Callable[[], None] | None
) -> KeyboardInterrupt | None:
    """Wait for the end of the stop, whatever comes; gives the last Ctrl-C that came."""
    interrupt = None
    with trio.CancelScope(shield=True):
        while not stopped.is_set():
            try:
                await stopped.wait()
            except KeyboardInterrupt as raised:
                interrupt = raised
                if interrupted is not None:
                    interrupted()
    return interrupt


def _raise(failure: TreeFailed | None, error: BaseException | None, interrupt: KeyboardInterrupt | None) -> None:
    """Raise the last of these, with those before it in its context, so that none is lost."""
    if failure is not None and isinstance(error, trio.Cancelled):
        error = None
    raised = [each for each in (failure, error, interrupt) if each is not None]
    for earlier, later in pairwise(raised):
        _put_before(earlier, later)
    if raised:
        raise raised[-1]


def _put_before(earlier: BaseException, later: BaseException) -> None:
    while later.__context__ is not None:
        later = later.__context__
    later.__context__ = earlier

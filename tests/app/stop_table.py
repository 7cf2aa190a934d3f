"""The table of the stop contract: modes, ways to end, and what each comes to."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import attrs

from actors import ExecutionMode, RetryPolicy, TaskStatus
from tests.app import stop_bodies, stop_plain

SOFT = 0.2
HARD = 0.6
GRACE = 0.3
SLOTS = 2
PROMPT = 0.5
"""Seconds after its deadline within which a stage has taken effect, besides what the machine itself is late."""
HEARD = 0.3
"""Seconds within which a test hears of progress; a node tells it five times a second."""
RETRY = RetryPolicy(max_retries=1, base_delay=0.01, jitter=False)


@attrs.frozen
class Mode:
    """One way to run handlers.

    Attributes:
        stuck: the bodies that are left behind at the hard stage, and count as stuck until they end.
        left_at_once: whether that is so at a shutdown too; coroutines are waited for then, for two seconds.
    """

    mode: ExecutionMode
    bodies: stop_plain.Bodies
    stuck: frozenset[str]
    left_at_once: bool = False


MODES = {
    "coroutine": Mode(ExecutionMode.COROUTINE, stop_bodies.COROUTINE, frozenset({"defies"})),
    "asyncio": Mode(ExecutionMode.ASYNCIO, stop_bodies.ASYNCIO, frozenset({"defies"})),
    "thread": Mode(ExecutionMode.THREAD, stop_plain.THREAD, frozenset({"ignores", "defies"}), left_at_once=True),
    "process": Mode(ExecutionMode.PROCESS, stop_plain.PROCESS, frozenset()),
}


if find_spec("trio_asyncio") is None:  # on Python 3.14
    del MODES["asyncio"]


@attrs.frozen(kw_only=True)
class Case:
    """What happens to a task, and what has to come of it.

    Attributes:
        body: see `stop_bodies`.
        stop: "cancel", "shutdown" or "kill" (of its process), as soon as the handler runs; "cancel pending" before.
        ends: seconds until it ends or is given back, from what stops it, or from its start if nothing does.
        outcomes: of its attempts, as they are written down.
        error: what the error that is stored says, among other things.
        events: what is told after STARTED, but for PROGRESS and STUCK.
        modes: the modes in which it is so; by default all.
    """

    body: str
    options: dict[str, Any] = attrs.field(factory=dict)
    stop: str = ""
    grace: float = GRACE
    ends: float = 0.0
    status: TaskStatus
    retries: int = 0
    outcomes: Sequence[str] = ()
    error: str = ""
    events: str
    modes: Sequence[str] = tuple(MODES)


LIMITS = {"soft_timeout": SOFT, "timeout": HARD, "max_retries": 0}

CASES = {
    "finishes": Case(body="finishes", status=TaskStatus.COMPLETED, events="completed"),
    "raises": Case(
        body="raises", options={"retry": RETRY}, status=TaskStatus.FAILED, retries=1, outcomes=["failed", "failed"],
        error="no such page", events="retry_scheduled started failed",
    ),
    "raises what cannot be described": Case(
        body="unspeakable", options={"max_retries": 0}, status=TaskStatus.FAILED, outcomes=["failed"],
        error="its message cannot be made", events="failed",
    ),
    "result that cannot be encoded": Case(
        body="unstorable", options={"retry": RETRY}, status=TaskStatus.FAILED, outcomes=["failed"],
        error="object", events="failed",
    ),
    "soft timeout obeyed": Case(
        body="obeys", options=LIMITS, ends=SOFT, status=TaskStatus.TIMEOUT, outcomes=["timed_out"],
        events="soft_timeout timed_out",
    ),
    "soft timeout obeyed, and tried again": Case(
        body="obeys", options={**LIMITS, "max_retries": None, "retry": RETRY}, ends=2 * SOFT,
        status=TaskStatus.TIMEOUT, retries=1, outcomes=["timed_out", "timed_out"],
        events="soft_timeout retry_scheduled started soft_timeout timed_out",
    ),
    "soft timeout obeyed with a result": Case(
        body="tidies", options=LIMITS, ends=SOFT, status=TaskStatus.COMPLETED, events="soft_timeout completed",
    ),
    "soft timeout ignored, but done before the hard one": Case(
        body="lasts", options=LIMITS, ends=stop_plain.LASTING, status=TaskStatus.COMPLETED,
        events="soft_timeout completed",
    ),
    "soft timeout ignored, then hard": Case(
        body="ignores", options=LIMITS, ends=HARD, status=TaskStatus.TIMEOUT, outcomes=["timed_out"],
        events="soft_timeout timed_out",
    ),
    "hard timeout alone": Case(
        body="ignores", options={"timeout": HARD, "max_retries": 0}, ends=HARD, status=TaskStatus.TIMEOUT,
        outcomes=["timed_out"], error=f"its time limit of {HARD:g} s", events="timed_out",
    ),
    "hard timeout ignored too": Case(
        body="defies", options=LIMITS, ends=HARD, status=TaskStatus.TIMEOUT, outcomes=["timed_out"],
        events="soft_timeout timed_out",
    ),
    "cancelled while pending": Case(
        body="finishes", stop="cancel pending", status=TaskStatus.CANCELLED, events="cancelled",
    ),
    "cancelled, and obeys": Case(
        body="obeys", stop="cancel", status=TaskStatus.CANCELLED, outcomes=["cancelled"], events="cancelled",
    ),
    "cancelled, and has a result all the same": Case(
        body="tidies", stop="cancel", status=TaskStatus.CANCELLED, outcomes=["cancelled"], events="cancelled",
    ),
    "cancelled, and does not care": Case(
        body="ignores", stop="cancel", ends=GRACE, status=TaskStatus.CANCELLED, outcomes=["cancelled"],
        events="cancelled",
    ),
    "cancelled, and defies it": Case(
        body="defies", stop="cancel", ends=GRACE, status=TaskStatus.CANCELLED, outcomes=["cancelled"],
        events="cancelled",
    ),
    "shutdown with enough grace": Case(
        body="lasts", stop="shutdown", grace=10.0, ends=stop_plain.LASTING, status=TaskStatus.COMPLETED,
        events="completed",
    ),
    "shutdown, and obeys": Case(
        body="obeys", stop="shutdown", grace=10.0, status=TaskStatus.PENDING, outcomes=["returned"],
        events="returned",
    ),
    "shutdown without enough grace": Case(
        body="ignores", stop="shutdown", ends=GRACE, status=TaskStatus.PENDING, outcomes=["returned"],
        events="returned",
    ),
    "shutdown, and defies it": Case(
        body="defies", stop="shutdown", ends=GRACE, status=TaskStatus.PENDING, outcomes=["returned"],
        events="returned", modes=["thread", "process"],
    ),
    "shutdown, defies it, and is done before it is left behind": Case(
        body="defies", stop="shutdown", ends=stop_plain.DEFIANT, status=TaskStatus.COMPLETED, events="completed",
        modes=["coroutine", "asyncio"],
    ),
    "killed from outside": Case(  # in the other modes this is the end of the node: tests/whole/test_killed_node.py
        body="ignores", options={"max_retries": 0}, stop="kill", status=TaskStatus.FAILED, outcomes=["failed"],
        error="was killed by signal 9 (SIGKILL), from outside or for want of memory", events="failed",
        modes=["process"],
    ),
    "killed from outside, with a process of its own": Case(
        body="defies", options={"max_retries": 0}, stop="kill", status=TaskStatus.FAILED, outcomes=["failed"],
        error="was killed by signal 9 (SIGKILL)", events="failed", modes=["process"],
    ),
}  # fmt: skip


RESULTS = {"finishes": "done", "lasts": "done", "tidies": "in part", "defies": "too late"}

"""One run of one handler: the object that Worker, Timeout and the handler's context share."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import attrs
import trio

from ..core.control import StopRequested
from ..core.outcome import Cancelled, Finished, Outcome, Returned, TimedOut
from ..core.request import Claimed
from ..core.stop import StopReason
from ..core.task import ErrorInfo, moment
from .calls import Call, call_of
from .context import TaskContext, enter
from .faults import contained, first_leaf, info, raised, unexplained
from .handler import Handler
from .surroundings import Surroundings
from .whereabouts import shown


@attrs.frozen
class Instant:
    """The same moment on trio's clock and on the wall: epoch seconds."""

    clock: float
    wall: float


class Attempt:
    """A handler that runs, or has run, for one claimed task.

    The soft stage is `stop(reason)`, the hard one `force(reason)`; both may come at any time and more than once.

    Args:
        began: when its limits begin to count; by default now, at the time of its claim.

    Attributes:
        limiter: of threads, for the lane that it runs in.
        started, ended: trio's clock when its limits began to count, and when its outcome was taken.
        began_at: the same as *started* in epoch seconds; for one that waits, when it began to.
        over: whether its outcome has been taken; what it still does changes nothing.
        waits: whether it has a place behind others, and has not begun: none of its limits has come.
    """

    __slots__ = ("_call", "_forced", "_scope", "began_at", "context", "ended", "handler", "limiter", "over", "started",
                 "surroundings", "task", "waits")  # fmt: skip

    def __init__(
        self,
        task: Claimed,
        handler: Handler,
        limiter: trio.CapacityLimiter,
        surroundings: Surroundings,
        began: Instant | None = None,
    ) -> None:
        began = began or Instant(trio.current_time(), task.started_at)
        self.task = task
        self.handler = handler
        self.started = self.ended = began.clock
        self.began_at = began.wall
        self.over = self.waits = False
        self.context = TaskContext(
            task, partial(surroundings.report, self), surroundings.prepare, surroundings.resources, began.wall
        )
        self.limiter = limiter
        self.surroundings = surroundings
        # Whatever cancels the service reaches its handlers through the stages of a shutdown, and no other way.
        self._scope = trio.CancelScope(shield=True)
        self._forced: StopReason | None = None
        self._call: Call | None = None  # while it lasts

    def __repr__(self) -> str:
        return f"<Attempt {self.task.attempt} of {self.task.task_type!r} {self.task.task_id}>"

    @property
    def stopping(self) -> StopReason | None:
        """Why it should stop, if it should."""
        return self.context.stopping

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return self.ended - self.started

    @property
    def still_runs(self) -> bool:
        """Whether it was left behind, and has not ended."""
        return self._call is not None and self._call.goes_on

    def stop(self, reason: StopReason) -> None:
        """The soft stage: the handler is told, and may finish or clean up."""
        self.context.stop(reason)
        if self._call is not None:
            self._call.stop(reason)

    def force(self, reason: StopReason) -> None:
        """The hard stage."""
        self.context.stop(reason)
        if self._forced is None:
            self._forced = reason
            self._scope.cancel()

    def begin(self, now: float) -> None:
        """If it has waited, its limits count from *now*, on trio's clock."""
        if self.waits:
            self.waits, self.started = False, now

    def close(self) -> None:
        """Its outcome is taken."""
        self.over = True
        self.ended = trio.current_time()
        self.context.end()

    async def run(self) -> Outcome:
        """Run the handler and say what it came to."""
        enter(self.context)
        try:
            if self.task.context is not None:
                self.surroundings.carried.unpack(self.task.context)
            if self.surroundings.hooks.before:
                self.surroundings.hooks.begin(self.context)
        except BaseException as error:
            return self._raised(contained(error, "a before_attempt hook"))
        self._call = call = call_of(self)
        if self.stopping is not None:
            call.stop(self.stopping)
        try:
            with self._scope:
                return self._returned(await call.run())
        except BaseException as error:
            return self._raised(contained(error, "the handler"))
        finally:
            if not call.goes_on:
                self._call = None  # it holds this attempt, and a circle waits for the garbage collector
        return self.cut_off()

    def tell(self, outcome: Outcome) -> None:
        """Have the hooks called after *outcome*, or after the one that was recorded when nobody waited any longer."""
        if self.surroundings.hooks.after:
            self.context.end()
            self.surroundings.hooks.end(self.context, self.cut_off() if self.over else outcome)

    def stack(self) -> str:
        """Where its handler is, as the lines of a traceback; in the event loop. Empty for one in another process."""
        return "" if self._call is None else shown(self._call.frames())

    def _returned(self, result: str) -> Outcome:
        if self.stopping is StopReason.CANCEL:
            return Cancelled()
        if self.stopping is StopReason.SHUTDOWN and self.context.interrupted:
            return Returned()  # its work was cut short; what it returned is what its clean-up left
        return Finished(result, self.context.end())

    def _raised(self, error: Exception) -> Outcome:
        if self.stopping is StopReason.CANCEL:
            return Cancelled()
        if self._forced is not None:
            return self._stopped(self._forced)
        if self.stopping is StopReason.SHUTDOWN and self.context.interrupted:
            return Returned()
        if self.stopping is not None and isinstance(first_leaf(error), StopRequested):
            return self._stopped(self.stopping)
        return raised(error, self.task, self._now())

    def unexplained(self, error: BaseException) -> Outcome:
        """The outcome when even describing *error* failed: its type has to do."""
        return unexplained(error, self.task, self._now())

    def cut_off(self) -> Outcome:
        """What it comes to when it is not waited for any longer."""
        return self._stopped(self._forced or StopReason.SHUTDOWN)

    def _stopped(self, reason: StopReason) -> Outcome:
        if reason is StopReason.CANCEL:
            return Cancelled()
        if reason is StopReason.SHUTDOWN:
            return Returned()
        return TimedOut(self._timeout_info())

    def _timeout_info(self) -> ErrorInfo:
        soft, hard = self.task.soft_timeout_seconds, self.task.timeout_seconds
        limit = f"its time limit of {hard:g} s" if self._forced or soft is None else f"its soft limit of {soft:g} s"
        return ErrorInfo("TaskTimedOut", f"stopped at {limit}", "", self.task.attempt, self._now())

    def _now(self) -> datetime:
        return moment(self.surroundings.wall())

    def info(self, error: Exception) -> ErrorInfo:
        """*error* as it is stored."""
        return info(error, error, self.task, self._now())

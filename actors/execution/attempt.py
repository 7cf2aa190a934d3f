"""One run of one handler: the object that Worker, Timeout and the handler's context share."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from ..core.control import Abort, Retry, Snooze, StopRequested
from ..core.errors import InvalidPayload
from ..core.outcome import Cancelled, Finished, Outcome, Raised, Returned, TimedOut
from ..core.request import Claimed
from ..core.stop import StopReason
from ..core.task import ErrorInfo, ExecutionMode, moment
from .context import TaskContext, enter
from .faults import contained, described, first_leaf, leaves, worded
from .handler import Handler
from .surroundings import Surroundings
from .thread import ThreadCall
from .whereabouts import ENTRANCES, coroutine_frames, shown, thread_frames

if TYPE_CHECKING:
    from .aio import AsyncioLoop

logger = logging.getLogger("actors.execution")

_CONTROL: Final = (Abort, Retry, Snooze)
_COROUTINES: Final = (ExecutionMode.COROUTINE, ExecutionMode.ASYNCIO)


class Attempt:
    """A handler that runs, or has run, for one claimed task.

    The soft stage is `stop(reason)`, the hard one `force(reason)`; both may come at any time and more than once.

    Attributes:
        started, ended: trio's clock at the start of the handler, and when its outcome was taken.
        over: whether its outcome has been taken; what it still does changes nothing.
    """

    __slots__ = ("_forced", "_limiter", "_scope", "_surroundings", "_thread", "context", "ended", "handler", "over",
                 "started", "task")  # fmt: skip

    def __init__(
        self, task: Claimed, handler: Handler, limiter: trio.CapacityLimiter, surroundings: Surroundings
    ) -> None:
        self.task = task
        self.handler = handler
        self.started = self.ended = trio.current_time()
        self.over = False
        self.context = TaskContext(
            task, lambda progress: surroundings.report(self, progress), surroundings.prepare, surroundings.resources
        )
        self._limiter = limiter
        self._surroundings = surroundings
        # Whatever cancels the service reaches its handlers through the stages of a shutdown, and no other way.
        self._scope = trio.CancelScope(shield=True)
        self._forced: StopReason | None = None
        self._thread: ThreadCall | None = None

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
        """Whether a thread was left behind that has not ended."""
        return self._thread is not None and self._thread.goes_on

    def stop(self, reason: StopReason) -> None:
        """The soft stage: the handler is told, and may finish or clean up.

        A coroutine that never took hold of its context cannot notice, and what it would return after a cancel
        would be dropped: it goes to the hard stage at once.
        """
        self.context.stop(reason)
        blind = self.handler.mode in _COROUTINES and not self.context.noticed
        if reason is StopReason.CANCEL and blind:
            self.force(reason)

    def force(self, reason: StopReason) -> None:
        """The hard stage."""
        self.context.stop(reason)
        if self._forced is None:
            self._forced = reason
            self._scope.cancel()

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
                self._surroundings.carried.unpack(self.task.context)
            if self._surroundings.hooks.before:
                self._surroundings.hooks.begin(self.context)
        except BaseException as error:
            return self._raised(contained(error, "a before_attempt hook"))
        try:
            arguments = self.handler.signature.decode(self.task.input_data)
        except InvalidPayload as error:
            return Raised(error, self.info(error), final=True)
        try:
            with self._scope:
                return self._returned(await self._call(arguments))
        except BaseException as error:
            return self._raised(contained(error, "the handler"))
        return self.cut_off()

    def tell(self, outcome: Outcome) -> None:
        """Have the hooks called after *outcome*, or after the one that was recorded when nobody waited any longer."""
        if self._surroundings.hooks.after:
            self.context.end()
            self._surroundings.hooks.end(self.context, self.cut_off() if self.over else outcome)

    def stack(self) -> str:
        """Where its handler is, as the lines of a traceback; in the event loop."""
        if self._thread is not None:
            return shown(thread_frames(self._thread.ident))
        if self._asyncio is not None:
            return shown(self._asyncio.frames(self.context))
        return shown(coroutine_frames(self.context))

    @property
    def _asyncio(self) -> AsyncioLoop | None:
        return self._surroundings.asyncio if self.handler.mode is ExecutionMode.ASYNCIO else None

    async def _call(self, arguments: dict[str, Any]) -> Any:
        function, context = self.handler.function, self.context
        given: tuple[Any, ...] = ()
        if self.handler.takes_context:
            context.noticed = True
            given = (context,)
        if self.handler.mode is ExecutionMode.COROUTINE:
            return await function(*given, **arguments)
        call = partial(function, *given, **arguments)
        if self._asyncio is not None:
            return await self._asyncio.run(call, context)
        self._thread = ThreadCall(call, lambda: self._surroundings.ended_late(self))
        return await self._thread.run(self._limiter)

    def _returned(self, value: Any) -> Outcome:
        if self.stopping is StopReason.CANCEL:
            return Cancelled()
        if self.stopping is StopReason.SHUTDOWN and self.context.interrupted:
            return Returned()  # its work was cut short; what it returned is what its clean-up left
        try:
            result = self.handler.signature.encode_result(value)
        except InvalidPayload as error:
            return Raised(error, self.info(error), final=True)
        return Finished(result, self.context.end())

    def _raised(self, error: Exception) -> Outcome:
        if self.stopping is StopReason.CANCEL:
            return Cancelled()
        if self._forced is not None:
            return self._stopped(self._forced)
        if self.stopping is StopReason.SHUTDOWN and self.context.interrupted:
            return Returned()
        leaf = first_leaf(error)
        if self.stopping is not None and isinstance(leaf, StopRequested):
            return self._stopped(self.stopping)
        if leaf is not error:
            for other in leaves(error):
                logger.error("%r raised, in a group with others", self, exc_info=other, extra=self.task.names)
        return Raised(leaf, self.info(error, leaf))

    def unexplained(self, error: BaseException) -> Outcome:
        """The outcome when even describing *error* failed: its type has to do."""
        kind = type(error).__name__
        logger.error("%r raised %s, which cannot be described", self, kind, extra=self.task.names)
        info = ErrorInfo(kind, "an error that cannot be described", "", self.task.attempt, self._now())
        return Raised(RuntimeError(info.message), info)

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
        return moment(self._surroundings.wall())

    def info(self, error: BaseException, leaf: BaseException | None = None) -> ErrorInfo:
        """*error* as it is stored; control exceptions are words, not faults, and carry no traceback."""
        named = leaf or error
        text = "" if isinstance(named, _CONTROL) else described(error)
        return ErrorInfo(type(named).__qualname__, worded(named), text, self.task.attempt, self._now())


ENTRANCES.add(Attempt._call.__code__)

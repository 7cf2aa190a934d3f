"""Handlers that are plain functions, each in a process that can be killed."""

from __future__ import annotations

import logging
from contextvars import copy_context
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ...core.codec import loads
from ...core.control import StopRequested
from ...core.errors import ProcessDied
from ...core.outcome import Raised
from ...core.request import Claimed, NewTask
from ...core.stop import StopReason
from ...core.task import ErrorInfo, Progress, moment
from ..faults import Failed
from ..whereabouts import Frames
from .turn import Turn
from .wire import handle_record, pack_refusal, unpack_raised, unpack_request

if TYPE_CHECKING:
    from ..attempt import Attempt

logger = logging.getLogger("actors.execution")


class ProcessCall:
    """One call in a child process, which is killed at the hard stage with all that it has started."""

    __slots__ = ("_attempt", "_turn")

    goes_on: Final = False

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._turn: Turn | None = None

    async def run(self) -> str:
        attempt, pool = self._attempt, self._attempt.surroundings.pool
        small = pool.pace.depth(attempt.task.task_type) > 1
        queue, turn = pool.queue, Turn(attempt, self._task(), small=small)
        self._turn = turn
        queue.enter(turn)
        try:
            answer = await self._converse(turn)
        except BaseException:  # the hard stage, or a fault of this side
            await queue.withdraw(turn)
            raise
        finally:
            self._turn = None
            queue.leave(turn)
        return self._result(turn, answer)

    def stop(self, reason: StopReason) -> None:
        turn = self._turn
        if turn is None:
            return
        if self._attempt.surroundings.pool.queue.call_off(turn):
            self._attempt.context.interrupted = True  # before it has begun: a shutdown charges nothing
            turn.fail(StopRequested(reason))
        elif turn.child is not None:
            turn.child.stop(turn.number, reason)

    def frames(self) -> Frames:
        """Nothing: another process cannot be looked into."""
        return ()

    async def _converse(self, turn: Turn) -> list[Any] | None:
        """Take what the handler says until it ends; None if its process died."""
        attempt = self._attempt
        while (message := await turn.receive()) is not None:
            match message:
                case ["word", _, fraction, words, data]:
                    attempt.surroundings.report(attempt, Progress(fraction, words, loads(data)))
                case ["submit", _, packed, context]:
                    await turn.answer(*self._row_of(packed, context))
                case ["log", record]:
                    handle_record(record)
                case _:
                    return message
        return None

    def _task(self) -> Claimed:
        """As it travels: a hook may have set variables that travel too."""
        task, surroundings = self._attempt.task, self._attempt.surroundings
        if not (surroundings.hooks.before and surroundings.carried):
            return task
        return task._replace(context=surroundings.carried.pack())

    def _row_of(self, packed: dict[str, Any], context: str | None) -> tuple[Any, Any]:
        """The answer to a child that submits: a row, or what is wrong."""
        try:
            return tuple(copy_context().run(self._adopt, packed, context)), None
        except Exception as error:  # a user's hook may raise anything
            return None, pack_refusal(error)

    def _adopt(self, packed: dict[str, Any], context: str | None) -> NewTask:
        """The row of a task that is submitted where the variables that travel are those of *context*."""
        if context is not None:
            self._attempt.surroundings.carried.unpack(context)
        return self._attempt.context.adopt(unpack_request(packed))

    def _result(self, turn: Turn, answer: list[Any] | None) -> str:
        pace = self._attempt.surroundings.pool.pace
        match answer:
            case ["returned", _, str(result), seconds]:
                pace.saw(turn.task_type, seconds)
                return result
            case ["raised", _, data, seconds]:
                pace.saw(turn.task_type, seconds)
                raise Failed(unpack_raised(data, self._attempt.task.attempt, self._now()))
        raise Failed(self._death_of(turn))

    def _death_of(self, turn: Turn) -> Raised:
        """It failed its attempt like an error, which the policy may retry: a crash is what takes a whole node along."""
        attempt = self._attempt
        if attempt.stopping is StopReason.SHUTDOWN:
            attempt.context.interrupted = True  # whatever stops the service may have killed it too: nothing is charged
        error = ProcessDied(f"the process that ran it {turn.end}")
        logger.warning("%r: %s", attempt, error, extra=attempt.task.names)
        return Raised(error, ErrorInfo("ProcessDied", str(error), "", attempt.task.attempt, self._now()))

    def _now(self) -> datetime:
        return moment(self._attempt.surroundings.wall())

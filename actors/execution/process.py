"""Handlers that are plain functions, each in a process that can be killed."""

from __future__ import annotations

import logging
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from ..core.codec import loads
from ..core.errors import ProcessDied
from ..core.outcome import Raised
from ..core.request import Claimed, NewTask
from ..core.stop import StopReason
from ..core.task import ErrorInfo, Progress, moment
from .child_process import ChildProcess
from .faults import Failed
from .pool import LAST_WAIT
from .whereabouts import Frames
from .wire import handle_record, pack_refusal, unpack_raised, unpack_request

if TYPE_CHECKING:
    from .attempt import Attempt

logger = logging.getLogger("actors.execution")

_claimed_fields: Final = attrgetter(*(field.name for field in attrs.fields(Claimed)))
_row_fields: Final = attrgetter(*(field.name for field in attrs.fields(NewTask)))


class ProcessCall:
    """One call in a child process, which is killed at the hard stage with all that it has started."""

    __slots__ = ("_attempt", "_child")

    goes_on: Final = False

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._child: ChildProcess | None = None

    async def run(self) -> str:
        pool = self._attempt.surroundings.pool
        child = await pool.take()
        try:
            answer = await self._converse(child)
        except BaseException:  # the hard stage, or a fault of this side: the child is in the midst of its work
            child.kill()
            with trio.move_on_after(LAST_WAIT, shield=True):
                await child.gone.wait()
            raise
        finally:
            self._child = None
            pool.give_back(child)
        return self._result(child, answer)

    def stop(self, reason: StopReason) -> None:
        if self._child is not None:
            self._child.stop(reason)

    def frames(self) -> Frames:
        """Nothing: another process cannot be looked into."""
        return ()

    async def _converse(self, child: ChildProcess) -> list[Any] | None:
        """Make the call, and take what the handler says until it ends; None if its process died."""
        attempt, number = self._attempt, child.calls
        stopping = None if attempt.stopping is None else attempt.stopping.value
        self._child = child  # from here on stops go to it
        await child.send(number, stopping, _claimed_fields(attempt.task))
        while (message := await child.receive()) is not None:
            match message:
                case ["word", of, fraction, words, data]:
                    if of == number:
                        attempt.surroundings.report(attempt, Progress(fraction, words, loads(data)))
                case ["submit", packed]:
                    await child.send(*self._row_of(packed))
                case ["log", record]:
                    handle_record(record)
                case _:
                    return message
        child.kill()  # it may have closed its lines, and live on
        await child.gone.wait()
        return None

    def _row_of(self, packed: dict[str, Any]) -> tuple[Any, Any]:
        """The answer to a child that submits: a row, or what is wrong."""
        try:
            return _row_fields(self._attempt.context.adopt(unpack_request(packed))), None
        except Exception as error:  # a user's hook may raise anything
            return None, pack_refusal(error)

    def _result(self, child: ChildProcess, answer: list[Any] | None) -> str:
        match answer:
            case ["returned", str(result)]:
                return result
            case ["raised", data]:
                raise Failed(unpack_raised(data, self._attempt.task.attempt, self._now()))
        raise Failed(self._death_of(child))

    def _death_of(self, child: ChildProcess) -> Raised:
        """It failed its attempt like an error, which the policy may retry: a crash is what takes a whole node along."""
        attempt = self._attempt
        if attempt.stopping is StopReason.SHUTDOWN:
            attempt.context.interrupted = True  # whatever stops the service may have killed it too: nothing is charged
        error = ProcessDied(f"the process that ran it {child.end}")
        logger.warning("%r: %s", attempt, error, extra=attempt.task.names)
        return Raised(error, ErrorInfo("ProcessDied", str(error), "", attempt.task.attempt, self._now()))

    def _now(self) -> datetime:
        return moment(self._attempt.surroundings.wall())

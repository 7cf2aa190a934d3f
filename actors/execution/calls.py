"""One call of a handler, in each mode: what `Attempt` runs, and stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..core.errors import InvalidPayload
from ..core.outcome import Raised
from ..core.stop import StopReason
from ..core.task import ExecutionMode
from .faults import Failed
from .process.call import ProcessCall
from .thread import ThreadCall
from .whereabouts import ENTRANCES, Frames, coroutine_frames, thread_frames

if TYPE_CHECKING:
    from .aio import AsyncioLoop
    from .attempt import Attempt


class Call(Protocol):
    """A call that is made once. At the hard stage `run` is cancelled."""

    @property
    def goes_on(self) -> bool:
        """Whether it was left behind by a cancel, and has not ended."""

    async def run(self) -> str:
        """The JSON text of what the handler returned; raises what it raised."""

    def stop(self, reason: StopReason) -> None:
        """The soft stage, which the context knows of already."""

    def frames(self) -> Frames:
        """Where the handler is; in the event loop."""


class CoroutineCall:
    """A coroutine, in the attempt's own trio task."""

    __slots__ = ("_attempt",)

    goes_on: Final = False

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    async def run(self) -> str:
        handler = self._attempt.handler
        given, arguments = arguments_of(self._attempt)
        return handler.signature.encode_result(await handler.function(*given, **arguments))

    def stop(self, reason: StopReason) -> None:
        _end_if_blind(self._attempt, reason)

    def frames(self) -> Frames:
        return coroutine_frames(self._attempt.context)


class AsyncioCall:
    """A coroutine of asyncio, in a task on the node's asyncio loop."""

    __slots__ = ("_attempt",)

    goes_on: Final = False

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    async def run(self) -> str:
        handler, context = self._attempt.handler, self._attempt.context
        given, arguments = arguments_of(self._attempt)
        result = await self._loop.run(partial(handler.function, *given, **arguments), context)
        return handler.signature.encode_result(result)

    def stop(self, reason: StopReason) -> None:
        _end_if_blind(self._attempt, reason)

    def frames(self) -> Frames:
        return self._loop.frames(self._attempt.context)

    @property
    def _loop(self) -> AsyncioLoop:
        loop = self._attempt.surroundings.asyncio
        assert loop is not None, "a node that has such handlers opens it"
        return loop


class CallInThread:
    """A plain function, in a thread that is left behind at the hard stage."""

    __slots__ = ("_attempt", "_thread")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._thread: ThreadCall | None = None

    @property
    def goes_on(self) -> bool:
        return self._thread is not None and self._thread.goes_on

    async def run(self) -> str:
        attempt = self._attempt
        given, arguments = arguments_of(attempt)
        self._thread = ThreadCall(
            partial(attempt.handler.function, *given, **arguments), lambda: attempt.surroundings.ended_late(attempt)
        )
        return attempt.handler.signature.encode_result(await self._thread.run(attempt.limiter))

    def stop(self, reason: StopReason) -> None:
        """Nothing more: it looks at its context."""

    def frames(self) -> Frames:
        return () if self._thread is None else thread_frames(self._thread.ident)


def _end_if_blind(attempt: Attempt, reason: StopReason) -> None:
    """Cancel a coroutine that never took hold of its context: it cannot notice, and what it returns is dropped."""
    if reason is StopReason.CANCEL and not attempt.context.noticed:
        attempt.force(reason)


def arguments_of(attempt: Attempt) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """What the handler is called with.

    Raises:
        Failed: the payload no longer fits it.
    """
    handler = attempt.handler
    try:
        arguments = handler.signature.decode(attempt.task.input_data)
    except InvalidPayload as error:
        raise Failed(Raised(error, attempt.info(error), final=True)) from None
    if not handler.takes_context:
        return (), arguments
    attempt.context.noticed = True
    return (attempt.context,), arguments


_CALLS: Final[Mapping[ExecutionMode, Callable[[Attempt], Call]]] = {
    ExecutionMode.COROUTINE: CoroutineCall,
    ExecutionMode.ASYNCIO: AsyncioCall,
    ExecutionMode.THREAD: CallInThread,
    ExecutionMode.PROCESS: ProcessCall,
}


def call_of(attempt: Attempt) -> Call:
    """The call that *attempt* is about to make."""
    return _CALLS[attempt.handler.mode](attempt)


ENTRANCES.add(CoroutineCall.run.__code__)

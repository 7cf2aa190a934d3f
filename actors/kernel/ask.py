"""Messages that carry their own answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

import attrs
import trio
from trio.lowlevel import enable_ki_protection

R = TypeVar("R")


class Reply(Generic[R]):
    """A slot for one answer: a value or an error. The first one wins.

    Who waits is woken by hand, without an event of trio's: a thousand may ask at a time, and whatever exists meanwhile
    makes each garbage collection longer.
    """

    __slots__ = ("_callbacks", "_error", "_value", "_waiting", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: R | None = None
        self._error: BaseException | None = None
        self._waiting: tuple[trio.lowlevel.Task, ...] = ()
        self._callbacks: tuple[Callable[[], object], ...] = ()

    def result(self) -> R:
        """The answer, without waiting.

        Raises:
            trio.WouldBlock: there is none yet.
            BaseException: the error that the ask was answered with.
        """
        if not self.done:
            raise trio.WouldBlock
        if self._error is not None:
            raise self._error
        return cast("R", self._value)

    @enable_ki_protection  # Ctrl-C in here would leave a task to be woken that waits for something else by then
    async def wait(self) -> R:
        """The answer, as soon as there is one; raises the error that the ask was answered with."""
        if self.done:
            await trio.lowlevel.checkpoint()
        else:
            task = trio.lowlevel.current_task()
            self._waiting += (task,)

            def abort(_: object) -> trio.lowlevel.Abort:
                self._waiting = tuple(other for other in self._waiting if other is not task)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
            del task, abort  # an error that was the answer holds this frame, which should not hold the asker
        return self.result()

    def then(self, callback: Callable[[], object]) -> None:
        """Call *callback* when the answer is there: inside `answer`, or at once. It must neither wait nor raise."""
        if self.done:
            callback()
        else:
            self._callbacks += (callback,)

    @enable_ki_protection  # or some would be left asleep
    def settle(self, value: R | None, error: BaseException | None) -> None:
        """Take the answer and wake those who wait for it; do nothing when there is one already."""
        if self.done:
            return
        self.done = True
        self._value = value
        self._error = error
        waiting, self._waiting = self._waiting, ()
        for task in waiting:
            trio.lowlevel.reschedule(task)
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            callback()


@attrs.frozen
class Ask(Generic[R]):
    """Base class of messages that are answered with an R.

    A subclass is frozen too, and its fields are the question. An actor may
    answer while it handles the batch, or at any time later. One ask object is
    one question: send it once.
    """

    reply: Reply[R] = attrs.field(init=False, factory=Reply, eq=False, repr=False)

    @property
    def answered(self) -> bool:
        """Whether `answer` or `fail` has been called, by the actor or by the kernel."""
        return self.reply.done

    def answer(self, value: R) -> None:
        """Give the asker *value*; ignored when the ask is answered already."""
        self.reply.settle(value, None)

    def fail(self, error: BaseException) -> None:
        """Raise *error* at the asker; ignored when the ask is answered already."""
        self.reply.settle(None, error)

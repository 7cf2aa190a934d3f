"""The actors and messages that the kernel's tests play with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from actors.kernel import Actor, Ask, Child, Stop, supervise


@attrs.frozen
class Echo(Ask[str]):
    """Answers its text."""

    text: str


@attrs.frozen
class LastWord(Echo):
    """Is answered, and then crashes its actor: nothing is given again."""

    def __call__(self) -> None:
        raise Boom("last word")


class Boom(Exception):
    """The crash that a test asked for."""


class Scripted(Actor[Any]):
    """Writes what happens into *log*, and does what a message says.

    An `Echo` is answered at once; "later" texts are not. "boom" raises `Boom`,
    "stop" raises `Stop`, an event is waited for, a callable is called.
    """

    def __init__(self, log: list[Any], name: str = "actor") -> None:
        self.log = log
        self.name = name

    async def started(self) -> None:
        self.log.append(f"{self.name} started")

    async def receive(self, batch: Sequence[Any]) -> None:
        for message in batch:
            self.log.append(message)
            await self.obey(message)

    async def obey(self, message: Any) -> None:
        if message == "boom":
            raise Boom("asked for")
        if message == "stop":
            raise Stop
        if isinstance(message, trio.Event):
            await message.wait()
        if isinstance(message, Echo) and not message.text.startswith("later"):
            message.answer(message.text)
        if callable(message):
            message()

    async def stopped(self) -> None:
        self.log.append(f"{self.name} stopped")


class DiesBadly(Scripted):
    """Crashes as it stops."""

    async def stopped(self) -> None:
        raise Boom("in stopped")


class Alarm(Scripted):
    """Wakes at the times *at*, one after the other."""

    def __init__(self, log: list[Any], at: Sequence[float]) -> None:
        super().__init__(log)
        self.at = list(at)

    def wake_at(self) -> float:
        return self.at[0] if self.at else math.inf

    async def wake(self) -> None:
        self.log.append(("woke", trio.current_time() - self.at.pop(0)))


def scripted(log: list[Any], name: str = "actor", **options: Any) -> Child[Any]:
    return Child(name, lambda: Scripted(log, name), **options)


def crash_once() -> Callable[[], None]:
    """A message that crashes the actor that gets it, but not when it is given again."""
    errors = [Boom("once")]

    def crash() -> None:
        if errors:
            raise errors.pop()

    return crash


async def run_and_tell(tell: Child[Any], message: object, children: Sequence[Child[Any]], **options: Any) -> None:
    """Run a tree of *children* for ever, after one *message* to one of them."""
    async with supervise(children, **options):
        await tell.handle.tell(message)
        await trio.sleep_forever()


def in_turn(*makers: Callable[[], Actor[Any]]) -> Callable[[], Actor[Any]]:
    """The first call makes the first actor, the second the second; the last one is made from then on."""
    left = list(makers)
    return lambda: (left.pop(0) if len(left) > 1 else left[0])()

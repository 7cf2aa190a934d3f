"""What a child process is: it imports the modules of its handlers, and then calls one after the other.

Four lines lead to its node. *calls* brings them, one at a time. *work* takes back what they say and come to, and
brings answers to what they ask. *control* is read by a thread of its own: it brings soft stops, also while a handler
computes. *life* is never written to: its end is the node's end. This is imported before the modules of users, so it
must not pay for trio or SQLAlchemy.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from types import FrameType
from typing import Any, Final, NoReturn

import attrs

from ...core.codec import Signature
from ...core.errors import InvalidPayload, NotRunning
from ...core.outcome import Raised
from ...core.request import Claimed
from ...core.stop import StopReason
from ...core.task import moment
from ..carried import Carried
from ..context import TaskContext, enter
from ..faults import Failed, contained, raised, unexplained
from .call_line import next_call
from .child_resources import ChildResources
from .frames import CHUNK, Frames, unpacked
from .importing import import_main, importing
from .line import Forward, Line, Voice
from .location import Location
from .wire import pack_raised

PATIENCE: Final = 60.0
"""Seconds that the imports of a new child may take."""
_NEVER: Final = moment(0)


@attrs.frozen
class Callee:
    """A handler, as it was found in this process."""

    function: Callable[..., Any]
    takes_context: bool
    signature: Signature


@attrs.frozen
class Belongings:
    """What calls in this process need."""

    resources: ChildResources
    callees: dict[str, Callee] = attrs.field(factory=dict)
    carried: Carried = attrs.field(factory=Carried)


def main(calls: int, work: int, control: int, life: int) -> None:
    """Run calls until the node says that there are no more, or is gone."""
    _die_with(life)
    _leave_signals_to_the_node()
    to_come = socket.socket(fileno=calls)
    line, stops = Line(socket.socket(fileno=work)), Stops(socket.socket(fileno=control))
    os.register_at_fork(after_in_child=lambda: _be_a_copy(line, stops, to_come))
    threading.Thread(target=stops.watch, name="actors-control", daemon=True).start()
    with suppress(EOFError, ConnectionError):
        belongings = _prepare(line)
        try:
            Calls(line, stops, belongings).run_all(to_come)
        except NotRunning as error:
            _end_copy(error)
        belongings.resources.close()


def _end_copy(error: NotRunning) -> NoReturn:
    """End a copy of this process that has left its handler, but nothing of what it shares with the original.

    An exit in order would take apart what it has, and close resources by that.
    """
    sys.excepthook(type(error), error, error.__traceback__)
    os._exit(1)


def kill_group() -> NoReturn:
    """End this process, and those that it has started."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _die_with(life: int) -> None:
    """Have the kernel kill this group when the node's end of *life* is closed, whatever the handler does then.

    The thread that reads *control* kills it too, but needs the interpreter's lock, which a call into C may hold for
    minutes. Only Linux lets one choose the signal.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def _leave_signals_to_the_node() -> None:
    """Ignore what a process manager sends to all of a service's processes: the node says when its handlers stop.

    Not by SIG_IGN, which programs that handlers start would inherit.
    """

    def ignore(_: int, __: FrameType | None) -> None:
        pass

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ignore)


def _be_a_copy(line: Line, stops: Stops, calls: socket.socket) -> None:
    """After a fork in a handler: the lines belong to the original, and signals are the copy's own affair."""
    line.close()
    stops.close()
    calls.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _prepare(line: Line) -> Belongings:
    """Become like the node as far as imports and logs go."""
    (given,) = line.receive()
    sys.path[:], sys.argv[:] = given["path"], given["argv"]
    forward = Forward(line)
    for name, level in given["levels"].items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addHandler(forward)
    # Whatever users' modules make of the root logger, what handlers say goes to the node, and goes there once.
    logging.getLogger("actors").propagate = False
    given_up = threading.Timer(PATIENCE, _give_up, [line])
    given_up.daemon = True
    given_up.start()
    belongings = _found(line, given)
    given_up.cancel()
    line.send("ready")
    return belongings


def _found(line: Line, given: Mapping[str, Any]) -> Belongings:
    name, found = "", Belongings(ChildResources(**given["resources"]))
    try:
        with importing():
            if given["main"] is not None:
                name = "__main__"
                import_main(*given["main"])
            for task_type, takes_context, *location in given["handlers"]:
                name = location[0]
                function = Location(*location).find()
                signature = Signature.of(function, skip_first=takes_context, name=task_type)
                found.callees[task_type] = Callee(function, takes_context, signature)
            for location in given["variables"]:
                name = location[0]
                found.carried.add([Location(*location).find()])
    except BaseException as error:
        line.send("unready", f"a new process cannot import {name!r}: {_in_one_line(error)}")
        raise EOFError from None
    return found


def _in_one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _give_up(line: Line) -> None:
    line.send("unready", f"a new process did not import the handlers' modules within {PATIENCE:g} s")
    kill_group()


class Stops:
    """Soft stops, which come at any time, and the call that they are for."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._changing = threading.Lock()
        self._context: TaskContext | None = None
        self._number = 0
        self._early: StopReason | None = None

    def watch(self) -> None:
        """Read stops as they come; the end of them is the end of the node."""
        frames = Frames()
        with suppress(OSError):
            while data := self._control.recv(CHUNK):
                for number, reason in frames.feed(data):
                    self._stop(number, StopReason(reason))
        kill_group()

    def begin(self, number: int, context: TaskContext) -> None:
        """Stops for call *number* are for *context* from now on."""
        with self._changing:
            early, self._early = (self._early if self._number == number else None), None
            self._number, self._context = number, context
            if early is not None:
                context.stop(early)

    def close(self) -> None:
        """Let go of the line."""
        self._control.close()

    def _stop(self, number: int, reason: StopReason) -> None:
        with self._changing:
            if number > self._number:  # the call itself has yet to be read, from another line
                self._number, self._context, self._early = number, None, reason
            elif number == self._number and self._context is not None:
                self._context.stop(reason)
            elif number == self._number:
                self._early = reason


class Calls:
    """Calls of handlers, one after the other."""

    def __init__(self, line: Line, stops: Stops, belongings: Belongings) -> None:
        self._line = line
        self._stops = stops
        self._belongings = belongings

    def run_all(self, to_come: socket.socket) -> None:
        """Run calls until there are no more.

        Raises:
            NotRunning: this is a copy of the process, which came out of a handler.
        """
        with suppress(EOFError, ConnectionError):
            while (call := next_call(to_come)) is not None:
                number, body = call
                self.run(number, *(unpacked(body) if body else self._line.receive()))

    def run(self, number: int, stopping: str | None, fields: list[Any], began_at: float | None, ahead: float) -> None:
        """Call the handler of a claimed task, and send what it came to.

        Args:
            began_at: when its limits began to count, in epoch seconds; None: they do now.
            ahead: seconds by which the node's clock is ahead of this machine's.
        """
        has = self._belongings
        task, voice = Claimed._make(fields), Voice(self._line, number, has.carried)
        counted_from = time.time() + ahead if began_at is None else began_at
        context = TaskContext(task, voice.report, voice.prepare, has.resources, counted_from)
        if stopping is not None:
            context.stop(StopReason(stopping))
        self._stops.begin(number, context)
        began = time.perf_counter()
        kind, answer = copy_context().run(self._answer, has.callees[task.task_type], context, task)
        voice.end()
        with suppress(OSError, ValueError):  # it is a handler's own affair what it did to its output
            sys.stdout.flush()
        self._line.send(kind, number, answer, time.perf_counter() - began)

    def _answer(self, callee: Callee, context: TaskContext, task: Claimed) -> tuple[str, Any]:
        enter(context)
        try:
            try:
                return "returned", self._call(callee, context, task)
            except BaseException as error:
                return "raised", pack_raised(raised(contained(error, "the handler"), task, _NEVER))
        except BaseException as error:
            return "raised", pack_raised(unexplained(error, task, _NEVER))

    def _call(self, callee: Callee, context: TaskContext, task: Claimed) -> str:
        if task.context is not None:
            self._belongings.carried.unpack(task.context)
        try:
            arguments = callee.signature.decode(task.input_data)
        except InvalidPayload as error:
            told = raised(error, task, _NEVER)
            raise Failed(Raised(told.error, told.info, final=True)) from None
        given = (context,) if callee.takes_context else ()
        return callee.signature.encode_result(callee.function(*given, **arguments))

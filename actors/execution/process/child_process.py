"""A child process, as its node sees it: how it is started, spoken to, killed and buried."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import trio

from ...core.stop import StopReason
from .call_line import MOST_INLINE, CallLine
from .frames import CHUNK, Frames, frame, packed
from .turn import Turn

_ROOT: Final = str(Path(__file__).parents[3])
_PROGRAM: Final = (
    "import sys; sys.path[:] = [*filter(None, sys.path), {root!r}];"
    " from actors.execution.process.child import main; main({calls}, {work}, {control}, {life})"
)
_ANSWERS: Final = frozenset({"returned", "raised"})
_OF_A_CALL: Final = _ANSWERS | {"word", "submit"}


class ChildProcess:
    """A process that runs handlers, with the node's ends of the lines to it.

    Calls are begun in the order in which they are sent, and each is answered before the next one begins. So all that is
    known of who runs is in their order: it is the first that was not answered.

    Attributes:
        turns: those that were sent and not answered, in order.
        since: on trio's clock, when the first of them began.
        calls: how many it was given.
        is_listened_to: whether one of them reads what it says, for all.
        is_leaving: whether it was dismissed.
        gone: set when it is dead and buried.
    """

    def __init__(
        self, process: trio.Process, line: CallLine, work: socket.socket, control: socket.socket, life: int
    ) -> None:
        self._process = process
        self._line = line
        self._work = work
        self._control = control
        self._life = life
        self._frames = Frames()
        self._received: deque[list[Any]] = deque()
        self._number = 0
        self.turns: deque[Turn] = deque()
        self.since = 0.0
        self.calls = 0
        self.is_listened_to = False
        self.is_leaving = False
        self.gone = trio.Event()

    def __repr__(self) -> str:
        return f"<ChildProcess {self.pid}>"

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group too."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it is, as far as is known here."""
        if self.gone.is_set():
            return False
        try:
            return bool(self._control.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True

    async def send(self, *message: Any) -> None:
        """Send a message. To one that has died it is sent in vain; `receive` then says so."""
        data = memoryview(frame(*message))
        with suppress(ConnectionError, trio.ClosedResourceError):
            while data and not self.gone.is_set():
                try:
                    data = data[self._work.send(data) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._work)

    async def receive(self) -> list[Any] | None:
        """The next message while it has no turns, or None: it has died, or closed its lines."""
        while not self._received:
            try:
                await trio.lowlevel.wait_readable(self._work)
                if not self._read():
                    return None
            except BlockingIOError:
                pass
        return self._received.popleft()

    async def listen(self) -> None:
        """Wait until it has said something, and hand that out; one turn does this for all. Its end is waited for."""
        self.is_listened_to = True
        try:
            await trio.lowlevel.wait_readable(self._work)
            if not self.gone.is_set() and not self._read():  # it may have closed its lines, and live on
                self.kill()
                await self.gone.wait()
        except (BlockingIOError, trio.ClosedResourceError):
            pass  # it is buried; its last words were read then
        finally:
            self.is_listened_to = False
            if self.turns:
                self.turns[0].wake()

    def last_words(self) -> list[list[Any]]:
        """What it said, and nobody has received."""
        words = list(self._received)
        self._received.clear()
        return words

    def _read(self) -> bool:
        """Take what has arrived; False at the end of the line.

        Raises:
            BlockingIOError: nothing has, or the line is closed.
        """
        if self.gone.is_set():  # it was buried after something had arrived, and before that was looked at
            raise BlockingIOError
        try:
            data = self._work.recv(CHUNK)
        except ConnectionError:
            return False
        now = trio.current_time()
        for message in self._frames.feed(data):
            self._hand_out(message, now)
        return bool(data)

    @property
    def has_spoken(self) -> bool:
        """Whether there is something to be handed out, so that more may be answered than is known yet."""
        try:
            return bool(self._work.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _hand_out(self, message: list[Any], now: float) -> None:
        kind = message[0]
        if kind not in _OF_A_CALL:
            (self.turns[0].hear if self.turns else self._received.append)(message)
        elif self.turns and message[1] == self.turns[0].number:  # else it is of a thread that was left behind
            turn = self.turns.popleft() if kind in _ANSWERS else self.turns[0]
            turn.hear(message)
            if kind in _ANSWERS and self.turns:
                self._begin(now)

    def _begin(self, now: float) -> None:
        """The first of its turns begins."""
        self.since = now
        self.turns[0].begin(now)

    def give(self, turn: Turn) -> bool:
        """Send it a call, behind those that it has; False if there is no room."""
        message = packed(*turn.message)
        inline = len(message) <= MOST_INLINE
        with suppress(ConnectionError):  # it has died; that will be found
            if not self._line.put(self._number + 1, message if inline else b""):
                return False
        self._number += 1
        self.calls += 1
        turn.child, turn.number, turn.rest = self, self._number, None if inline else turn.message
        self.turns.append(turn)
        while self._received:  # it has spoken since its last turn: a thread that was left behind may log
            turn.hear(self._received.popleft())
        if len(self.turns) == 1:  # others are woken by whoever listens, when it is their turn
            self._begin(trio.current_time())
            turn.wake()
        return True

    def take_back(self) -> list[Turn]:
        """The turns that it has not begun, and will not begin any more, in order."""
        numbers = self._line.take_back()
        found = [turn for turn in self.turns if turn.number in numbers]
        if found:
            self.turns = deque(turn for turn in self.turns if turn.number not in numbers)
            self.calls -= len(found)
        for turn in found:
            turn.send_back()
        return found

    def stop(self, number: int, reason: StopReason) -> None:
        """The soft stage of a call."""
        with suppress(OSError):  # it is dead, or does not read: the hard stage will find it
            self._control.send(frame(number, reason.value))

    def dismiss(self) -> None:
        """Tell it that there will be no more calls, so that it ends in order."""
        self.is_leaving = True
        with suppress(OSError):  # it is dead
            self._line.end()

    def kill(self) -> None:
        """Kill it, and every process of its group.

        Until it is buried no other group can have its number: a zombie keeps that.
        """
        if not self.gone.is_set():
            with suppress(ProcessLookupError, PermissionError):  # none is left; macOS says the latter of zombies
                os.killpg(self.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Wait for its death, or for what is as good as that: it has closed its lines."""
        await trio.lowlevel.wait_readable(self._control)

    async def bury(self) -> list[Turn]:
        """Kill what is left of its group, reap it, hand out what it has said, and close the lines.

        The first of its turns died with it, if it had one; those behind that are given back.
        """
        self.kill()
        await self._process.wait()
        with suppress(BlockingIOError):  # a process that it has forked may hold the line open
            while self._read():
                pass
        left = self.take_back()
        self._line.close()
        for line in (self._work, self._control):
            trio.lowlevel.notify_closing(line)
            line.close()
        os.close(self._life)
        self.gone.set()
        for turn in self.turns:
            turn.lose()
        self.turns.clear()
        return left

    @property
    def end(self) -> str:
        """How it ended, for an error message, once it is `gone`."""
        code = self._process.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}"
        hint = ", from outside or for want of memory" if -code == signal.SIGKILL else ""
        return f"was killed by signal {-code} ({_name_of(-code)}){hint}"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


async def start_child() -> ChildProcess:
    """Start a process in a session of its own: no Ctrl-C of a terminal reaches it.

    It reads from nothing, and writes to where this process does.

    Raises:
        OSError: no process or descriptor is to be had.
    """
    with ExitStack() as ours, ExitStack() as theirs:
        line = CallLine()
        ours.callback(line.close)
        work, their_work = _pair(ours, theirs)
        control, their_control = _pair(ours, theirs)
        their_life, life = os.pipe()
        theirs.callback(os.close, their_life)
        ours.callback(os.close, life)
        sockets = {"calls": line.theirs, "work": their_work, "control": their_control}
        lines = {name: end.fileno() for name, end in sockets.items()} | {"life": their_life}
        process = await trio.lowlevel.open_process(
            [sys.executable, *_flags(), "-c", _PROGRAM.format(root=_ROOT, **lines)],
            stdin=subprocess.DEVNULL,
            pass_fds=list(lines.values()),
            start_new_session=True,
        )
        ours.pop_all()
        return ChildProcess(process, line, work, control, life)


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    mine, other = socket.socketpair()
    mine.setblocking(False)
    return ours.enter_context(mine), theirs.enter_context(other)


def _flags() -> list[str]:
    """This interpreter's own flags, such as -O and -W, as multiprocessing hands them on."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags

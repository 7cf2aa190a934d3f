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

from ..core.stop import StopReason
from .frames import CHUNK, Frames, frame

_ROOT: Final = str(Path(__file__).parent.parent.parent)
_PROGRAM: Final = (
    "import sys; sys.path[:] = [*filter(None, sys.path), {root!r}];"
    " from actors.execution.child import main; main({work}, {control}, {life})"
)


class ChildProcess:
    """A process that runs handlers, with the node's ends of the lines to it.

    Attributes:
        calls: how many it was given.
        gone: set when it is dead and buried.
    """

    def __init__(self, process: trio.Process, work: socket.socket, control: socket.socket, life: int) -> None:
        self._process = process
        self._work = work
        self._control = control
        self._life = life
        self._frames = Frames()
        self._received: deque[list[Any]] = deque()
        self.calls = 0
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
        """The next message, or None: it has died, or closed its lines."""
        while not self._received:
            if self.gone.is_set():
                return None
            try:
                await trio.lowlevel.wait_readable(self._work)
                if not self._read():
                    return None
            except (BlockingIOError, trio.ClosedResourceError):
                pass  # it is buried; its last words were read meanwhile
        return self._received.popleft()

    def _read(self) -> bool:
        """Take what has arrived; False at the end of the line.

        Raises:
            BlockingIOError: nothing has.
        """
        try:
            data = self._work.recv(CHUNK)
        except ConnectionError:
            return False
        self._received.extend(self._frames.feed(data))
        return bool(data)

    def stop(self, reason: StopReason) -> None:
        """The soft stage of its latest call."""
        with suppress(OSError):  # it is dead, or does not read: the hard stage will find it
            self._control.send(frame(self.calls, reason.value))

    def dismiss(self) -> None:
        """Tell it that there will be no more calls, so that it ends in order."""
        with suppress(OSError):  # it is dead
            self._work.shutdown(socket.SHUT_WR)

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

    async def bury(self) -> None:
        """Kill what is left of its group, reap it, and close the lines; what it said before can still be received."""
        self.kill()
        await self._process.wait()
        with suppress(BlockingIOError):  # a process that it has forked may hold the line open
            while self._read():
                pass
        for line in (self._work, self._control):
            trio.lowlevel.notify_closing(line)
            line.close()
        os.close(self._life)
        self.gone.set()

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
        work, their_work = _pair(ours, theirs)
        control, their_control = _pair(ours, theirs)
        their_life, life = os.pipe()
        theirs.callback(os.close, their_life)
        ours.callback(os.close, life)
        lines = {"work": their_work.fileno(), "control": their_control.fileno(), "life": their_life}
        process = await trio.lowlevel.open_process(
            [sys.executable, *_flags(), "-c", _PROGRAM.format(root=_ROOT, **lines)],
            stdin=subprocess.DEVNULL,
            pass_fds=list(lines.values()),
            start_new_session=True,
        )
        ours.pop_all()
        return ChildProcess(process, work, control, life)


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    mine, other = socket.socketpair()
    mine.setblocking(False)
    return ours.enter_context(mine), theirs.enter_context(other)


def _flags() -> list[str]:
    """This interpreter's own flags, such as -O and -W, as multiprocessing hands them on."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags

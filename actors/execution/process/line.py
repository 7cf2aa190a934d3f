"""A child's end of the line to its node, and what a running handler says over it."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from typing import Any, Final

from ...core.codec import dumps
from ...core.errors import NotRunning
from ...core.request import NewTask, TaskRequest
from ...core.task import Progress
from ..carried import Carried
from .frames import CHUNK, Frames, frame
from .wire import pack_record, pack_request, unpack_refusal

MOST_WORDS_A_SECOND: Final = 10.0
"""Words of progress that travel; the node stores five a second."""


class Line:
    """Frames both ways. Any thread may send; one at a time receives."""

    def __init__(self, work: socket.socket) -> None:
        self._work = work
        self._frames = Frames()
        self._received: deque[list[Any]] = deque()
        self._sending = threading.Lock()
        self.is_open = True

    def send(self, *message: Any) -> None:
        """Send a message to the node; waits while it does not read.

        Raises:
            NotRunning: this is a copy of the process, which the line does not belong to.
        """
        if not self.is_open:
            raise NotRunning("this process was forked by a handler's; only that one can speak for the task")
        data = frame(*message)
        with self._sending:
            self._work.sendall(data)

    def receive(self) -> list[Any]:
        """The next message.

        Raises:
            EOFError: there will be none.
        """
        while not self._received:
            data = self._work.recv(CHUNK)
            if not data:
                raise EOFError
            self._received.extend(self._frames.feed(data))
        return self._received.popleft()

    def close(self) -> None:
        """Let go of it."""
        self.is_open = False
        self._work.close()


class Voice:
    """What one attempt says: progress and children. After its end it says nothing more."""

    def __init__(self, line: Line, number: int, carried: Carried) -> None:
        self._line = line
        self._number = number
        self._carried = carried
        self._speaking = threading.Lock()
        self._over = False
        self._word: list[Any] | None = None
        self._spoke_at = 0.0
        self._timer: threading.Timer | None = None

    def report(self, progress: Progress) -> None:
        """Send *progress* now, or with what follows it soon: the latest word wins.

        Raises:
            InvalidPayload: its data is no strict JSON.
        """
        word = [progress.fraction, progress.message, dumps(progress.data)]
        with self._speaking:
            self._word = word
            if self._timer is not None:
                return
            wait = self._spoke_at + 1 / MOST_WORDS_A_SECOND - time.monotonic()
            if wait <= 0:
                self._send_word()
                return
            self._timer = threading.Timer(wait, self._send_late)
            self._timer.daemon = True
            self._timer.start()

    def prepare(self, request: TaskRequest) -> NewTask:
        """The row of a child, which the node makes; raises what it finds wrong."""
        packed, context = pack_request(request), self._carried.pack() if self._carried else None
        with self._speaking:
            if self._over:
                raise NotRunning("the attempt has ended, and takes no more children")
            self._line.send("submit", self._number, packed, context)
            row, refusal = self._line.receive()
        if refusal is not None:
            raise unpack_refusal(*refusal)
        return NewTask._make(row)

    def end(self) -> None:
        """Say the last word of progress, if it was put off, and nothing more."""
        with self._speaking:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            self._send_word()

    def _send_late(self) -> None:
        with self._speaking:
            self._timer = None
            if not self._over:
                self._send_word()

    def _send_word(self) -> None:
        if self._word is not None:
            self._line.send("word", self._number, *self._word)
            self._word, self._spoke_at = None, time.monotonic()


class Forward(logging.Handler):
    """Has records handled in the node, by what is configured there."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._line.is_open:
                self._line.send("log", pack_record(record))
            elif logging.lastResort is not None:
                logging.lastResort.handle(record)  # in a copy of the process: to standard error
        except Exception:
            self.handleError(record)

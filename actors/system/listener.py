"""The thread that listens to what other processes tell."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from ..core.news import EVERYTHING, News
from ..store.faults import told
from ..store.notify import Ear

logger = logging.getLogger("actors.system")

SILENT_SECONDS: Final = 5.0
"""After which one's own voice should have been heard."""
FOLD_SECONDS: Final = 0.005
"""For which what comes behind some news is gathered, so that a storm of it costs a look in that time, and not each."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds from one try to listen to the next; each takes twice as long as the one before."""
CLOSE_WITHIN: Final = 1.0


class Listener:
    """Listens on a connection of its own, and opens another one when that is lost, or when it hears nothing.

    A connection that lives may be deaf: a pooler gives its session to others, a server that has gone leaves it open. So
    the node tells itself something again and again, through the writer's connection, and has to hear that here.

    Args:
        me: what the news of this node are by.
        hear: called in the thread with what others have told, folded; with `EVERYTHING` after a time without ears.
        monotonic: seconds.
    """

    def __init__(
        self, url: str, me: str, hear: Callable[[News], object], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._me = me
        self._hear = hear
        self._monotonic = monotonic
        self._listens = False
        self._asked_at: float | None = None
        self._heard_itself = False
        self._complained = False
        self._pipe: tuple[int, int] | None = None  # nothing goes through it: it ends when this is closed
        self._closed = threading.Event()
        self._lock = threading.Lock()  # of the start
        self._thread = threading.Thread(target=self._run, name="actors-listener", daemon=True)

    @property
    def listens(self) -> bool:
        """Whether it has a connection, so that it is worth telling oneself something."""
        return self._listens

    @property
    def works(self) -> bool:
        """Whether what others tell is heard."""
        return self._listens and self._heard_itself and not self._is_deaf

    @property
    def _is_deaf(self) -> bool:
        asked_at = self._asked_at
        return asked_at is not None and self._monotonic() - asked_at > SILENT_SECONDS

    def asked(self) -> None:
        """This node has told itself something; to be called before that is committed."""
        if self._asked_at is None:
            self._asked_at = self._monotonic()

    def start(self) -> None:
        """Begin, unless it has begun; for any thread."""
        with self._lock:
            if self._pipe is None and not self._closed.is_set():
                self._pipe = os.pipe()
                self._thread.start()

    def close(self) -> None:
        """End; one that is about to connect ends by itself when that has come to something."""
        with self._lock:
            self._closed.set()
        if self._pipe is not None:
            os.close(self._pipe[1])
            self._thread.join(CLOSE_WITHIN)

    def _run(self) -> None:
        assert self._pipe is not None
        end = self._pipe[0]
        try:
            self._serve(end)
        finally:
            os.close(end)

    def _serve(self, end: int) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._listen(end)
            except Exception as error:  # whatever it is: polling goes on, and so does this
                self._complain(error)
            pause = FIRST_PAUSE if self._heard_itself else min(2 * pause, LONGEST_PAUSE)
            self._listens = self._heard_itself = False
            self._asked_at = None
            self._closed.wait(pause)

    def _listen(self, end: int) -> None:
        """Listen on one connection until it is lost, or found to be deaf."""
        ear = Ear(self._url)
        try:
            self._listens = not self._closed.is_set()
            self._hear(EVERYTHING)
            while not self._closed.is_set():
                self._take(ear.hear(end, SILENT_SECONDS))
                if self._is_deaf:
                    raise TimeoutError("the server takes them, and does not send them; is there a pooler in between?")
        finally:
            ear.close()

    def _take(self, payloads: list[str]) -> None:
        news = [News.read(payload) for payload in payloads]
        if any(one.by == self._me for one in news):
            self._asked_at, first = None, not self._heard_itself
            self._heard_itself = True
            if first:
                self._hear(EVERYTHING)  # what was polled often until now is polled seldom from here on
                self._be_content()
        if others := [one for one in news if one.by != self._me]:
            self._hear(functools.reduce(News.merged, others))
            self._closed.wait(FOLD_SECONDS)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            words = "what other processes do is not heard of at once, but looked for twice a second: %s"
            logger.warning(words, told(error))
        self._complained = True

    def _be_content(self) -> None:
        if self._complained:
            logger.info("what other processes do is heard of at once again")
        self._complained = False

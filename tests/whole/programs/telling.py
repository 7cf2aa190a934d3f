"""How a helper program talks to the test that started it: a line a time, a word and its values."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NoReturn


def say(*words: object) -> None:
    """Write one line, at once; callable from any thread."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def note(path: str, *words: object) -> None:
    """Add one line to a file, at once: what the kernel has taken survives a kill."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(file)


def listen() -> str:
    """The next line from the test; waits for it."""
    return sys.stdin.readline().strip()


def die() -> NoReturn:
    """End as `kill -9` ends a process."""
    say("dying", time.monotonic())
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


def die_with_the_parent() -> NoReturn:
    """End the process that started this one as `kill -9` does, and be ended by that."""
    say("dying", time.monotonic())
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError("a process outlives its node")

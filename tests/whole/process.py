"""Real processes: started, listened to, and ended by their id."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.environment import untraced

ROOT = Path(__file__).parents[2]


class Program:
    """A program of `tests/whole/programs`, in a process group of its own.

    Args:
        name: of the module.
        arguments: given on its command line.
        packages: the folder in which it finds `actors`, this tree or an installed wheel.
    """

    def __init__(self, name: str, *arguments: object, packages: Path = ROOT) -> None:
        self.name = name
        self.lines: list[list[str]] = []
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in end()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"tests.whole.programs.{name}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=untraced(PYTHONPATH=f"{packages}{os.pathsep}{ROOT}"),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, word: str, within: float = 60.0) -> list[str]:
        """The values of the next line that begins with *word*; fails if none comes within seconds."""
        give_up_at = time.monotonic() + within
        while True:
            while b"\n" not in self._unread:
                self._read(give_up_at, f"no line {word!r}")
            first, _, self._unread = self._unread.partition(b"\n")
            words = first.decode().split(" ")
            self.lines.append(words)
            if words[0] == word:
                return words[1:]

    def _read(self, give_up_at: float, why: str) -> None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, give_up_at - time.monotonic())):
                raise AssertionError(f"{why} in time; {self.story()}")
        if not (more := os.read(self._process.stdout.fileno(), 1 << 16)):
            raise AssertionError(f"{why} before its end; {self.story()}")
        self._unread += more

    def story(self) -> str:
        """What it said and what went wrong in it, for messages."""
        self._errors.seek(0)
        said = " | ".join(" ".join(words) for words in self.lines[-20:])
        return f"program {self.name!r} said: {said}\n{self._errors.read().decode()[-6000:]}"

    def tell(self, text: str) -> None:
        """Write it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> float:
        """`kill -9`; when it was dead, on the monotonic clock."""
        self._process.kill()
        assert self.wait() == -signal.SIGKILL, self.story()
        return time.monotonic()

    def wait(self, within: float = 60.0) -> int:
        """Its exit code, or minus the signal that ended it."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; {self.story()}") from None

    def lives_on(self, seconds: float) -> bool:
        """Whether it still lives after so long."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def end(self) -> None:
        """Whatever happened: it is gone afterwards."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._errors.close()


def poll(condition: Callable[[], bool], within: float = 30.0, every: float = 0.005) -> float:
    """Wait until *condition* holds, which another process brings about; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + within, f"{condition} did not come true in {within:g} s"
        time.sleep(every)
    return time.monotonic() - began

"""What the tests of the command line share: a folder with a service, commands in it, a node, and a terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import pytest

from actors.cli import main
from tests.whole.process import poll

ROOT = Path(__file__).parents[2]
SERVICE = """
import logging
import os
import trio
from actors import Settings, TaskContext, TaskSystem

settings = Settings.from_environment()
app = TaskSystem(settings=settings)
empty = TaskSystem()
number = 3

@app.task
async def greet(name: str = "trio") -> str:
    return f"hello {name}"

@app.task(max_retries=0)
async def fail(text: str) -> None:
    logging.getLogger("service").info("it fails: %s", text)
    raise ValueError(text)

@app.task(timeout=None)
async def endless(ctx: TaskContext) -> None:
    ctx.progress(0.4, "parsing")
    with ctx.until_stopping():
        await trio.sleep_forever()

@app.task(timeout=None)
async def stubborn(ctx: TaskContext) -> None:
    with ctx.until_stopping():
        await trio.sleep_forever()
    await trio.sleep_forever()
"""
HOSTILE = "\x1b[31mred\x07\r\n\u202egnp.exe\u2066\x9b2J [bold]x[/bold] \x7f"
"""Colours, bells, new lines, marks that turn the direction of writing, an eight-bit escape, rich's markup, delete."""


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes stdin the terminal whose keys send signals, then becomes the command; a fork could not do it beside threads."""


@attrs.frozen
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def fine(self) -> Ended:
        """Itself, if the command did what it was asked to without a complaint."""
        assert (self.code, self.err) == (0, ""), self
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.fine.out)

    def refused(self, *words: str, code: int = 1) -> None:
        """It ended with *code* and one line on stderr that has all of *words*."""
        assert self.code == code, self
        assert self.err.startswith("actors: "), self
        assert self.err.count("\n") == 1, self
        assert [word for word in words if word not in self.err] == [], self


class _Stream(io.TextIOWrapper):
    """A stream of text like the real ones."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self) -> str:
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode()


def actors(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run a command in this process."""
    out, err = _Stream(), _Stream()
    given = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch("sys.stdin", given),
        pytest.raises(SystemExit) as end,
    ):
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return Ended(end.value.code, out.text(), err.text())


def status(task_id: str) -> str:
    """Of a task, as the commands tell it."""
    found: str = actors("show", task_id, "--json").json["status"]
    return found


def wait_for(task_id: str, wanted: str) -> None:
    """Wait until that is its status."""
    poll(lambda: status(task_id) == wanted)


def program(*arguments: object) -> list[str]:
    """The command line of a command in a process of its own."""
    return [sys.executable, "-m", "actors", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """Of such a process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


class Node:
    """`actors work` in a process of its own."""

    def __init__(self, folder: Path, *arguments: object, **environ: str) -> None:
        self._errors = (folder / "node.log").open("w+b")
        self._process = subprocess.Popen(
            program("work", "service:app", *arguments),
            cwd=folder,
            env=environment(**environ),
            bufsize=0,  # so that `select` knows of every line
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    def line(self, word: str, within: float = 60.0) -> str:
        """The next line of stdout that has *word*."""
        assert self._process.stdout is not None
        give_up_at = time.monotonic() + within
        while select.select([self._process.stdout], [], [], max(0.0, give_up_at - time.monotonic()))[0]:
            said = self._process.stdout.readline().decode()
            if word in said:
                return said
            assert said, f"it ended without {word!r}: {self.log()}"
        raise AssertionError(f"no line with {word!r} in time: {self.log()}")

    def log(self) -> str:
        """What it said on stderr so far."""
        return Path(self._errors.name).read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within: float = 60.0) -> int:
        """Its exit code, or minus the signal that ended it."""
        return self._process.wait(within)

    def end(self) -> None:
        """Whatever happened: it is gone afterwards."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


class Terminal:
    """A command whose terminal the test holds in its hand."""

    def __init__(self, folder: Path, command: list[str], *, columns: int = 80, **environ: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.shown = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            cwd=folder,
            env=environment(**environ),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, keys: str) -> None:
        """Press *keys*; "\\x03" is Ctrl-C."""
        os.write(self._master, keys.encode())

    def until(self, text: str, within: float = 60.0) -> str:
        """Wait for *text*; all that was shown so far."""
        give_up_at = time.monotonic() + within
        while text not in self.shown:
            assert self._read(give_up_at), f"{text!r} was not shown in time: {self.shown}"
        return self.shown

    def wait(self, within: float = 60.0) -> int:
        """Its exit code, after all that it had to say."""
        give_up_at = time.monotonic() + within
        while self._read(give_up_at):
            pass
        return self._process.wait(max(0.1, give_up_at - time.monotonic()))

    def _read(self, give_up_at: float) -> bool:
        """Read what there is; False at the end, or when the time is over."""
        if not select.select([self._master], [], [], max(0.0, give_up_at - time.monotonic()))[0]:
            return False
        try:
            more = os.read(self._master, 1 << 16)
        except OSError:  # the other side is closed: how Linux tells the end
            return False
        self.shown += more.decode().replace("\r\n", "\n")
        return bool(more)

    def end(self) -> None:
        """Whatever happened: it is gone afterwards."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

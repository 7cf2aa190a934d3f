"""The pages of the documentation, and a reader who does what they say, in an empty folder.

- `python` blocks run one after the other, in one namespace for the page. One whose first line is a comment with a
  file name, `# service.py`, is saved under that name instead.
- `console` blocks: what follows `$ ` is given to a shell, and the other lines are what it should say.
- A `text` block right after a `python` one is what that should print. An error that the code raises ends its output
  with a line `TypeName: message`. `…` stands for any characters, and on a line of its own for any lines. Where columns
  are two spaces apart or more, they may be any further.
- Blocks in other languages are not run.

`await` and `async with` may stand at the top level, to keep the pages short.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs
import trio

from tests.environment import untraced

ROOT = Path(__file__).parents[2]
LONGEST = 60.0
"""Seconds that one block may take."""
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",  # as on a terminal
    "BASH_FUNC_actors%%": '() { python -m actors "$@"; }',  # this checkout's, not one that may be installed
}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (\S+\.\w+)\n")


@attrs.frozen
class Block:
    """A fenced block, and the line on which its text begins."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """The README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of *page*, in order."""
    source = page.read_text(encoding="utf-8")
    return [Block(found[1], found[2], source.count("\n", 0, found.start(2)) + 1) for found in _BLOCK.finditer(source)]


class Reader:
    """Does what one page says.

    Args:
        page: where the blocks come from, for tracebacks.
        folder: where programs are saved and run.
        module: the namespace of the `python` blocks.
    """

    def __init__(self, page: Path, folder: Path, module: ModuleType) -> None:
        self._page = page
        self._folder = folder
        self._module = module

    def follow(self, page: list[Block]) -> None:
        """Do what the blocks say; fails where they do not say what happens."""
        for block, following in itertools.zip_longest(page, page[1:]):
            if block.language == "console":
                for command, expected in _commands(block.text):
                    self._compare(expected, self._shell(command), block.line)
            elif block.language == "python" and (name := _FILE.match(block.text)):
                (self._folder / name[1]).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                shown = following.text if following is not None and following.language == "text" else ""
                self._compare(shown, self._printed(block), block.line)

    def _compare(self, expected: str, said: str, line: int) -> None:
        assert _pattern(expected).fullmatch(said), (
            f"{self._page}, line {line}: the page shows\n{expected}\nand what came is\n{said}"
        )

    def _printed(self, block: Block) -> str:
        code = compile(
            "\n" * (block.line - 1) + block.text, str(self._page), "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True,
        )  # fmt: skip
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                running = eval(code, vars(self._module))
                if inspect.iscoroutine(running):
                    trio.run(_in_time, running)
            except Exception as error:
                print(f"{type(error).__name__}: {error}")
        return said.getvalue()

    def _shell(self, command: str) -> str:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=untraced(**ENVIRONMENT, PATH=programs),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=LONGEST,
        )
        return ran.stdout + "Killed\n" * (ran.returncode == -signal.SIGKILL)  # which is what a terminal says then


async def _in_time(running: object) -> None:
    with trio.fail_after(LONGEST):
        await running  # type: ignore[misc]  # a coroutine: the code has awaits at its top level


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a `console` block with the output that is shown; `\\` continues a line."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:.*\\\n)*.*\n", part)
        assert command is not None
        yield command[0], part[command.end() :]


def _pattern(shown: str) -> re.Pattern[str]:
    lines = ("(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in shown.splitlines(True))
    return re.compile(re.sub(r"(?:\\ ){2,}", "  +", "".join(lines)))

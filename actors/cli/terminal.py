"""What goes to the terminal: lines, tables and complaints, none of it raw."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence

import click

from ..core.printable import plain

_PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@")
_COLOURS = {
    "running": "cyan",
    "retrying": "yellow",
    "completed": "green",
    "failed": "red",
    "timeout": "red",
    "cancelled": "magenta",
}
GAP = "  "
_COMFORT, _REMARK, _LEAST = 20, 6, 4  # cells that a column keeps while others can still give way


def say_nothing_raw() -> None:
    """What the terminal's encoding cannot show is escaped from now on, instead of an error half-way through."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print *text*, which is harmless already. Who reads it may have gone: that is silent, and the work goes on."""
    try:
        click.echo(text, color=False if "NO_COLOR" in os.environ else None)
    except BrokenPipeError:
        deafen()


def complain(message: str) -> None:
    """One line on stderr; a password in a URL that somebody gave is not repeated."""
    harmless = plain(_PASSWORD.sub(r"\1:***@", message))
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"actors: {harmless}", err=True)


def deafen() -> None:
    """Nobody reads stdout any more: what is left in its buffer, and what comes, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def coloured(status: str) -> str:
    """The word for a task's state, in its colour; click takes that away where no terminal is."""
    colour = _COLOURS.get(status)
    return plain(status) if colour is None else click.style(plain(status), fg=colour)


def terminal_width() -> int | None:
    """Columns of the terminal; None where stdout is none, and lines may be as long as they like."""
    given = sys.stdout is not None and sys.stdout.isatty()  # None: closed by whoever started us
    return shutil.get_terminal_size().columns if given else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lines with aligned columns. Values are escaped here, and cut to *width* in all, see `_narrowed`.

    A column named `status` is coloured.
    """
    cells = [list(head), *([plain(value) for value in row] for row in rows)]
    widths = [max(map(cells_of, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _narrowed(widths, width - len(GAP) * (len(head) - 1))
    status = list(head).index("status") if "status" in head else None
    return [_line(row, widths, status if number else None) for number, row in enumerate(cells)]


def _narrowed(widths: list[int], room: int) -> list[int]:
    """*widths* with what is too much for *room* taken away, cell by cell.

    From the widest first, down to a comfortable width; then from the last column, which only adds a remark; then from
    the widest again. The first one, by which the row is known, comes last.
    """
    narrowed, rest = list(widths), list(range(1, len(widths)))
    for columns, least in ((rest, _COMFORT), (rest[-1:], _REMARK), (rest, _LEAST), (range(len(widths)), 1)):
        while sum(narrowed) > room and columns:
            widest = max(columns, key=narrowed.__getitem__)
            if narrowed[widest] <= least:
                break
            narrowed[widest] -= 1
    return narrowed


def _line(row: Sequence[str], widths: Sequence[int], status: int | None) -> str:
    parts = []
    for number, (value, width) in enumerate(zip(row, widths, strict=True)):
        short = cut(value, width)
        shown = coloured(short) if number == status else short
        parts.append(shown + " " * (width - cells_of(short)))
    return GAP.join(parts).rstrip()


def cut(text: str, width: int) -> str:
    """*text*, if it is wider than *width* cells cut to that, with a … at its end."""
    if cells_of(text) <= width:
        return text
    kept, room = "", width - 1
    for char in text:
        room -= _cells(char)
        if room < 0:
            break
        kept += char
    return kept + "…"


def cells_of(text: str) -> int:
    """How many cells of a terminal *text* takes: Chinese, Japanese and emoji take two each, accents none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

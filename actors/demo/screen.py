"""What the user sees: a live table on a terminal, lines elsewhere, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.core.printable import plain
from actors.demo.board import Board, Row

_REFRESH = 0.1  # seconds
_BAR = 10  # characters

Changed = Callable[[Row], None]


@contextmanager
def showing(board: Board, console: Console) -> Iterator[Changed]:
    """Show *board* until the block is left; the block calls what it gets when a row has changed."""
    if not console.is_terminal:
        yield _Lines(console).changed
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Table(board, live).changed


class _Lines:
    """A line for each new stage of a document."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[int, str] = {}

    def changed(self, row: Row) -> None:
        stage = ("can't be used" if row.error else row.stage) if row.over else f"{row.stage} …"
        if self._said.get(id(row)) != stage and not row.error:
            self._said[id(row)] = stage
            self._console.print(Text(f"{plain(row.name)}: {stage}"), soft_wrap=True)


class _Table:
    """A table that is drawn again at most ten times a second."""

    def __init__(self, board: Board, live: Live) -> None:
        self._board = board
        self._live = live
        self._drawn = 0.0

    def changed(self, row: Row) -> None:
        now = trio.current_time()
        if row.over or now - self._drawn >= _REFRESH:
            self._drawn = now
            self._live.update(_progress(self._board), refresh=True)


def _progress(board: Board) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("document", "step", "operations", "passed", "failed", "retries", "timeouts"):
        words = title in ("document", "step", "operations")
        table.add_column(title, justify="left" if words else "right", no_wrap=title != "document")
    for row in board.rows:
        stage = Text("can't be used", "red") if row.error else Text(row.stage, "green" if row.over else "")
        table.add_row(Text(plain(row.name)), stage, _bar(row), *_figures(row))
    return table


def _bar(row: Row) -> Text:
    if not row.slices:
        return Text("")
    full = _BAR * row.done // row.slices
    return Text("━" * full, "green") + Text("━" * (_BAR - full), "dim") + Text(f" {row.done}/{row.slices}")


def _figures(row: Row) -> list[Text]:
    return [
        Text(str(row.passed), "green" if row.passed else "dim"),
        Text(str(row.failed), "red" if row.failed else "dim"),
        Text(str(row.retries), "yellow" if row.retries else "dim"),
        Text(str(row.timeouts), "yellow" if row.timeouts else "dim"),
    ]


def summarise(board: Board, console: Console) -> None:
    """The last words: a table of what was done, the reports, and one line for each document that failed."""
    done = [row for row in board.rows if row.report]
    if done:
        console.print(_summary(done))
    for row in done:
        console.print(Text(f"report: {plain(row.report)}"), soft_wrap=True)
    for row in board.rows:
        if row.error:
            console.print(Text(f"{plain(row.name)}: {plain(row.error)}", "red"), soft_wrap=True)
    reused = sum(row.reused for row in board.rows)
    if reused:
        console.print(Text(f"{reused} steps were finished before and did not run again"), soft_wrap=True)


def _summary(rows: list[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("document", "operations", "faults", "cases", "passed", "failed", "retries", "timeouts"):
        table.add_column(title, justify="left" if title == "document" else "right")
    for row in rows:
        faults = Text(str(row.faults), "yellow" if row.faults else "dim")
        table.add_row(Text(plain(row.name)), str(row.operations), faults, str(row.cases), *_figures(row))
    return table

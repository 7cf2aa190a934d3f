from __future__ import annotations

import io

from rich.console import Console

from actors.core.printable import plain
from actors.demo.board import Board, Row
from actors.demo.screen import showing, summarise

EVIL = "\x1b[2J[bold red]x[/]\u202eevil\n"


def test_control_codes_are_shown_and_not_obeyed() -> None:
    assert plain(EVIL) == r"\x1b[2J[bold red]x[/]\u202eevil\n"
    assert plain("größer ✓ 漢字") == "größer ✓ 漢字"


def test_a_pipe_gets_a_line_for_each_stage() -> None:
    console = Console(file=io.StringIO())
    row = Row("a.yaml")
    with showing(Board([row]), console) as changed:
        for stage in ("analysing", "analysing", "making cases"):
            row.stage = stage
            changed(row)
    assert written(console) == "a.yaml: analysing …\na.yaml: making cases …\n"


async def test_a_terminal_gets_a_table() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    row = Row(EVIL, stage="running cases", done=3, slices=8, passed=21, retries=2)
    with showing(Board([row]), console) as changed:
        changed(row)
    assert "running cases" in written(console)
    assert "3/8" in written(console)
    assert "\x1b[2J[bold red]x" not in written(console)


def test_the_summary_has_reports_and_a_line_for_each_document_that_failed() -> None:
    console = Console(file=io.StringIO(), width=40)
    good = Row("a.yaml", operations=3, cases=9, passed=9, report="/a/rather/long/path/to/a/report.html", reused=4)
    bad = Row(f"b{EVIL}", error=f"is {EVIL}")
    summarise(Board([good, bad]), console)
    lines = written(console).splitlines()
    assert "report: /a/rather/long/path/to/a/report.html" in lines
    assert r"b\x1b[2J[bold red]x[/]\u202eevil\n: is \x1b[2J[bold red]x[/]\u202eevil\n" in lines
    assert lines[-1].startswith("4 steps were finished before")


def written(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()

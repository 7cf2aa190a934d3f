"""`actors work`: a node in a process of its own, and how it is stopped."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

import actors as package
from actors import TaskSystem
from actors.cli.logs import PlainFormatter
from actors.cli.work import heed
from actors.core.printable import plain
from tests.cli.world import HOSTILE, Node, Terminal, actors, program, status, wait_for

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def test_a_node_says_what_it_is_and_works(folder: Path, submit: Callable[..., str]) -> None:
    before = submit("greet")
    node = Node(folder)
    try:
        assert node.line("works on").startswith(f"actors {package.__version__} works on sqlite:///actors.db as ")
        assert "coroutine 1000" in (said := node.line("task types"))
        assert said.endswith("task types: endless, fail, greet, stubborn\n")
        wait_for(before, "completed")
    finally:
        node.end()


def test_the_garbage_collector_is_spared_what_the_start_has_made(
    folder: Path, start: Callable[..., Node], submit: Callable[..., str]
) -> None:
    with (folder / "service.py").open("a") as service:
        service.write("""

@app.task
async def frozen() -> int:
    import gc
    return gc.get_freeze_count()
""")
    start()
    task_id = submit("frozen")
    wait_for(task_id, "completed")
    assert actors("show", task_id, "--json").json["result_data"] > 10_000


def test_passwords_are_not_shown(folder: Path) -> None:
    node = Node(folder, "--database", "sqlite:///actors.db?password=secret")
    try:
        assert "secret" not in node.line("sqlite:///actors.db?password=") + node.line("task types") + node.log()
    finally:
        node.end()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_an_idle_node_in_order(number: signal.Signals, start: Callable[..., Node]) -> None:
    node = start()
    node.signal(number)
    assert node.line("stopping") == f"{number.name}: stopping in order; no task runs\n"
    assert node.line("stopped") == "stopped\n"
    assert node.wait() == 0
    assert node.log() == ""


def test_a_stop_leaves_the_grace_time_to_what_runs(start: Callable[..., Node], submit: Callable[..., str]) -> None:
    node = start("--grace", "0.2s")
    task_id = submit("stubborn")
    wait_for(task_id, "running")
    node.signal(signal.SIGTERM)
    assert "1 running task has 0.2 s to end; again ends that time" in node.line("stopping")
    assert node.wait() == 0
    assert status(task_id) == "pending"


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_ends_the_grace_time(
    second: signal.Signals, start: Callable[..., Node], submit: Callable[..., str]
) -> None:
    node = start("--grace", "1h")
    task_id = submit("stubborn")
    wait_for(task_id, "running")
    node.signal(signal.SIGINT)
    node.line("1 running task has 3600 s to end")
    node.signal(second)
    node.line("the grace time is over")
    assert node.wait() == 0
    assert status(task_id) == "pending"


def test_the_settings_grace_time_is_the_default(start: Callable[..., Node], submit: Callable[..., str]) -> None:
    node = start(TASK_GRACE_SECONDS="0.1")
    wait_for(submit("stubborn"), "running")
    node.signal(signal.SIGTERM)
    assert "0.1 s to end" in node.line("stopping")
    assert node.wait() == 0


def test_ctrl_c_on_a_terminal_stops_it(open_terminal: Callable[..., Terminal], folder: Path) -> None:
    terminal = open_terminal(program("work", "service:app"))
    terminal.until("task types")
    terminal.type("\x03")
    terminal.until("SIGINT: stopping in order; no task runs")
    assert terminal.wait() == 0
    assert terminal.shown.endswith("stopped\n")
    assert "Traceback" not in terminal.shown


def test_another_database_can_be_named(start: Callable[..., Node], folder: Path) -> None:
    start("--database", "sqlite:///other.db")
    assert (folder / "other.db").exists()
    assert not (folder / "actors.db").exists()


def test_a_second_node_on_the_file_is_refused(start: Callable[..., Node]) -> None:
    start()
    actors("work", "service:app").refused("actors.db' is in use by the working node with process id ")


def test_what_tasks_bring_into_the_log_is_harmless(start: Callable[..., Node], submit: Callable[..., str]) -> None:
    node = start()
    wait_for(submit("fail", '{"text": "\\u001b[31mred\\r\\n\\u202eforged line"}'), "failed")
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert r"INFO    service: it fails: \x1b[31mred\r\n\u202eforged line" in node.log()
    assert all(line.isprintable() for line in node.log().split("\n"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("service:empty", "service:empty has no task declared; import what declares them in its module"),
        ("servic:app", "no module named 'servic' is found"),
        ("service:ap", "did you mean"),
    ],
)
def test_what_cannot_be_worked_on_is_an_error_in_one_line(name: str, words: str, folder: Path) -> None:
    actors("work", name).refused(words)
    assert not (folder / "actors.db").exists()


def test_a_database_that_cannot_be_made_is_an_error_in_one_line(folder: Path) -> None:
    actors("work", "service:app", "--database", "sqlite:////no/such/folder/x.db").refused("cannot be made")


async def test_a_signal_before_the_start_ends_the_start() -> None:
    async def signals() -> AsyncIterator[int]:
        yield signal.SIGTERM

    with trio.CancelScope() as scope:
        await heed(signals(), TaskSystem("sqlite:///:memory:"), 1.0, scope)
    assert scope.cancel_called


def test_a_traceback_in_the_log_keeps_its_lines_and_is_harmless() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("service", logging.ERROR, "x.py", 1, "oh %s", (HOSTILE,), sys.exc_info())
    first, *rest = PlainFormatter().format(record).split("\n")
    assert first.endswith("ERROR   service: oh " + plain(HOSTILE))
    assert rest[0] == "  | Traceback (most recent call last):"
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)

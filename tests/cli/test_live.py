"""Beside a live node: what is seen of it, and what it does when it is steered."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import actors as package
from tests.cli.world import SERVICE, Ended, Node, Terminal, actors, program, status, wait_for
from tests.whole.process import poll


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a node on which many tests work, each with tasks of its own; starting one takes a second."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "service.py").write_text(SERVICE)
    node = Node(folder, "--grace", "0.2")
    node.line("task types")
    yield folder
    node.end()


@pytest.fixture
def beside(shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the shared node's folder the current one."""
    monkeypatch.chdir(shared)
    return shared


@pytest.fixture
def node(start: Callable[..., Node]) -> Node:
    return start("--grace", "0.2")


# submit --wait


def test_the_result_of_a_task_that_is_waited_for_is_printed_as_json(beside: Path) -> None:
    ended = actors("submit", "service:app", "greet", '{"name": "ü"}', "--wait")
    assert (ended.code, ended.out) == (0, '"hello \\u00fc"\n')
    assert ended.err.startswith("actors: task ")
    assert ended.err.endswith(" is stored\n")


def test_with_json_the_whole_task_is_printed(beside: Path) -> None:
    ended = actors("submit", "service:app", "greet", "--wait", "--json")
    assert ended.code == 0
    assert '"result_data": "hello trio"' in ended.out


def test_a_task_that_failed_is_an_error_in_one_line(beside: Path) -> None:
    ended = actors("submit", "service:app", "fail", '{"text": "\\u001b[31mred"}', "--wait")
    assert (ended.code, ended.out) == (1, "")
    _, error = ended.err.splitlines()
    assert error.endswith(r"('fail') failed: ValueError: \x1b[31mred")


def test_debug_shows_the_traceback_of_the_handler(beside: Path) -> None:
    ended = actors("--debug", "submit", "service:app", "fail", '{"text": "\\u001b[31mred"}', "--wait", "--json")
    assert ended.code == 1
    assert '"status": "failed"' in ended.out
    assert "in fail\n" in ended.err
    assert "\\x1b[31mred" in ended.err
    assert "\x1b" not in ended.err


def test_ctrl_c_ends_the_waiting_and_the_task_goes_on(beside: Path, open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(program("submit", "service:app", "endless", "--wait"), folder=beside)
    shown = terminal.until("is stored")
    task_id = shown.split()[2]
    wait_for(task_id, "running")
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert f"task {task_id} goes on; nobody waits for it any more" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert status(task_id) == "running"


def test_without_a_node_it_says_so_and_waits(folder: Path, open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(program("submit", "service:app", "greet", "--wait"))
    terminal.until("actors: no node works on this database now; the task waits for one")
    node = Node(folder)
    try:
        assert terminal.wait() == 0
        assert terminal.shown.endswith('"hello trio"\n')
    finally:
        node.end()


# tree and nodes


def test_the_tree_shows_each_actor_and_the_age_of_what_is_shown(node: Node) -> None:
    shown = poll_for("tree", "storage")
    head, lanes, columns, *rows = shown.out.splitlines()
    assert " as it was " in head
    assert "coroutine 0 of 1000 run" in lanes
    assert columns.split()[:3] == ["actor", "state", "waiting"]
    assert [row.split()[0] for row in rows] == [
        "storage", "monitor", "timeout", "retry", "worker:coroutine", "worker:asyncio", "worker:thread",
        "worker:process", "scheduler", "intake",
    ]  # fmt: skip
    assert all(row.split()[1] == "running" for row in rows)


def test_the_tree_says_that_a_node_is_short_of_memory(start: Callable[..., Node]) -> None:
    start("--grace", "0.2", TASK_MEMORY_LIMIT_MB="1")
    assert "  short of memory: claims nothing new (TASK_MEMORY_LIMIT_MB is 1.0)" in poll_for("tree", "short").out


def poll_for(command: str, word: str) -> Ended:
    poll(lambda: word in actors(command).fine.out)
    return actors(command).fine


def test_tree_and_nodes_as_json_have_the_snapshot(beside: Path) -> None:
    poll_for("tree", "storage")
    for command in ("tree", "nodes"):
        (found,) = actors(command, "--json").json
        assert found["working"] is True
        assert 0 <= found["heartbeat_age_seconds"] < 10
        assert found["snapshot"]["mailboxes"]["storage"]["state"] == "running"
        assert found["snapshot"]["task_types"] == ["endless", "fail", "greet", "stubborn"]


def test_the_nodes_are_listed(node: Node, submit: Callable[..., str]) -> None:
    submit("endless")
    poll(lambda: "coroutine 1/1000, asyncio 0/1000, thread 0/" in actors("nodes").fine.out)
    head, row = actors("nodes").fine.out.splitlines()
    assert head.split() == ["node", "state", "started", "heartbeat", "running", "version", "lanes"]
    assert " live " in row
    assert row.split("ago")[-1].split()[:2] == ["1", package.__version__]


def test_nodes_that_are_not_well_are_told_apart(submit: Callable[..., str]) -> None:
    submit("greet")
    now = time.time()
    rows = [
        ["dead", now - 90, now - 30, now - 15, 1, None],
        ["silent", now - 80, now - 10, now + 60, 1, None],
        ["short", now - 70, now, now + 60, 1, '{"claims_paused": true, "lanes": {"\\u001b[31m": 3}}'],
        ["strange", now - 60, now, now + 60, 1, '{"lanes": [3]}'],
        ["deaf", now - 50, now, now + 60, 1, '{"notifications": false}'],
        ["heard", now - 40, now, now + 60, 1, '{"notifications": true}'],
    ]
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        connection.executemany("INSERT INTO actors_node VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)
    head, *lines = actors("nodes").fine.out.splitlines()
    place = slice(head.index("state"), head.index("started"))
    assert [line[place].strip() for line in lines] == ["dead", "silent", "short of memory", "live", "polling", "live"]
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("command", ["tree", "nodes"])
def test_a_node_that_has_stopped_is_not_shown(command: str, node: Node) -> None:
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert actors(command).fine.out == "no live node\n"
    assert actors(command, "--json").json == []


# steering


def test_a_running_task_is_cancelled(beside: Path, submit: Callable[..., str]) -> None:
    task_id = submit("endless")
    wait_for(task_id, "running")
    assert actors("cancel", task_id).fine.out == f"{task_id} is cancelled\n"
    wait_for(task_id, "cancelled")


def test_a_paused_type_does_not_start_until_it_is_resumed(beside: Path, submit: Callable[..., str]) -> None:
    assert actors("pause", "--type", "greet").fine.out == "paused task type 'greet' on every node\n"
    task_id = submit("greet")
    ended = actors("submit", "service:app", "fail", '{"text": "x"}', "--wait")
    assert ended.code == 1
    assert status(task_id) == "pending"
    assert actors("resume", "--type", "greet", "--json").json["was_paused"]
    wait_for(task_id, "completed")


@pytest.mark.parametrize(("option", "name", "meant"), [("--type", "gret", "greet"), ("--lane", "threat", "thread")])
def test_a_pause_of_what_no_live_node_has_is_told(beside: Path, option: str, name: str, meant: str) -> None:
    poll_for("tree", "storage")
    done = actors("pause", option, name)
    assert (done.code, done.out[:7]) == (0, "paused ")
    assert f"did you mean '{meant}'?" in done.err
    assert actors("resume", option, name).fine.out


def test_a_failed_task_is_retried(beside: Path, submit: Callable[..., str]) -> None:
    task_id = submit("fail", '{"text": "x"}')
    wait_for(task_id, "failed")
    assert actors("retry", task_id).fine.out == f"{task_id} begins anew\n"
    poll(lambda: actors("show", task_id, "--json").json["attempt"] == 2)
    wait_for(task_id, "failed")
    begun = actors("retry", "--failed", "--type", "fail").fine.out
    assert begun.endswith((" task begins anew\n", " tasks begin anew\n"))


def test_progress_and_age_of_a_running_task_are_listed(beside: Path, submit: Callable[..., str]) -> None:
    submit("endless")
    poll(lambda: "40% parsing" in actors("list", "--status", "running").fine.out)


def test_statistics_count_what_has_ended(node: Node, submit: Callable[..., str]) -> None:
    wait_for(submit("greet"), "completed")
    wait_for(submit("fail", '{"text": "x"}'), "failed")
    shown = actors("stats").fine.out
    assert "success     50.00 % of 2" in shown
    assert "  1  ValueError\n" in shown
    found = actors("stats", "--json").json
    assert found["by_status"]["completed"] == 1
    assert "uptime_seconds" not in found


# the terminal


def test_on_a_terminal_lines_fit_and_states_have_colours(
    beside: Path, open_terminal: Callable[..., Terminal], submit: Callable[..., str]
) -> None:
    wait_for(submit("fail", f'{{"text": "{"x" * 200}"}}'), "failed")
    terminal = open_terminal(program("list", "--status", "failed"), columns=72, folder=beside)
    assert terminal.wait() == 0
    assert "\x1b[31mfailed\x1b[0m" in terminal.shown
    lines = terminal.shown.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, lines)) <= 72
    assert lines[1].endswith("…")


def test_without_colours_when_told_so(
    folder: Path, submit: Callable[..., str], open_terminal: Callable[..., Terminal]
) -> None:
    actors("cancel", submit("greet"))
    terminal = open_terminal(program("list"), NO_COLOR="1")
    assert terminal.wait() == 0
    assert "cancelled" in terminal.shown
    assert "\x1b" not in terminal.shown


def test_in_a_pipe_nothing_is_cut_and_nothing_coloured(folder: Path, submit: Callable[..., str]) -> None:
    actors("cancel", submit("greet", "{}", "--key", "k" * 150))
    shown = actors("list").fine.out
    assert "k" * 150 in shown
    assert "\x1b" not in shown


def test_a_completed_task_is_shown_with_its_result(beside: Path, submit: Callable[..., str]) -> None:
    task_id = submit("greet", '{"name": "x"}')
    wait_for(task_id, "completed")
    shown = actors("show", task_id).fine.out
    assert 'result        "hello x"\n' in shown
    assert "\nended         " in shown

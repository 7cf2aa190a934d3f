"""Beside live nodes on a PostgreSQL server, by a URL with a password that nobody gets to see."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from actors.store.notify import LISTEN
from tests.cli.world import SERVICE, Ended, Node, actors, status, wait_for
from tests.postgres import PostgresServer, clerk
from tests.whole.process import poll

SECRET = "s3cret"


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """Of a new database; the server lets everybody in from this machine, whatever the password."""
    with postgres_server.database() as bare:
        made = make_url(bare).set(password=SECRET, drivername="postgresql")
        yield made.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[list[Node]]:
    """Two of them, on which all tests here work."""
    folders = [tmp_path_factory.mktemp("node") for _ in range(2)]
    for folder in folders:
        (folder / "service.py").write_text(SERVICE)
    begun = [Node(folder, "--grace", "0.2", DATABASE_URL=url) for folder in folders]
    for node in begun:
        assert SECRET not in node.line("works on") + node.line("task types")
    yield begun
    for node in begun:
        node.end()


@pytest.fixture(autouse=True)
def beside(nodes: list[Node], url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands find the server by themselves."""
    monkeypatch.setenv("DATABASE_URL", url)


def until(word: str, *command: str) -> Ended:
    """What *command* says as soon as it says *word*; never the password."""
    poll(lambda: word in actors(*command).fine.out)
    ended = actors(*command).fine
    assert SECRET not in ended.out
    return ended


def live() -> int:
    return actors("nodes").fine.out.count(" live ")


def test_nodes_are_listed_with_their_health_lanes_and_running_tasks(submit: Callable[..., str]) -> None:
    task_id = submit("endless")
    told = until("coroutine 1/1000", "nodes").out
    head, *rows = told.splitlines()
    assert head.split() == ["node", "state", "started", "heartbeat", "running", "version", "lanes"]
    assert len(rows) == 2
    poll(lambda: live() == 2)  # they poll until they have heard themselves
    found = actors("nodes", "--json").json
    assert sorted(one["snapshot"]["running_tasks"] for one in found) == [0, 1]
    assert all(0 <= one["heartbeat_age_seconds"] < 2 for one in found)
    assert actors("cancel", task_id).fine.out == f"{task_id} is cancelled\n"
    wait_for(task_id, "cancelled")


def test_the_tree_of_each_node_is_shown() -> None:
    poll(lambda: actors("tree").fine.out.count("worker:coroutine") == 2)
    assert actors("tree").fine.out.count(" as it was ") == 2


LISTENS = f"query = '{LISTEN}'"
"""What is true of the session by which a node hears."""


def test_a_node_that_does_not_hear_what_others_tell_is_shown_as_polling(url: str, folder: Path) -> None:
    with clerk(url) as role:
        deaf = Node(folder, "--grace", "0.2", DATABASE_URL=role.url)
        try:
            deaf.line("task types")
            poll(lambda: role.sessions(LISTENS) == 1)
            poll(lambda: states()[deaf.pid] == "live")
            role.limit(0)  # what is open stays open; another connection is refused
            assert role.cut_off(LISTENS) == 1
            poll(lambda: states()[deaf.pid] == "polling")
            assert sorted(states().values()) == ["live", "live", "polling"]
            shown = actors("tree").fine.out
            assert shown.count("\n  polling: does not hear what other processes tell, and looks at the database") == 1
            assert f":{deaf.pid}:" in shown.split("\n  polling")[0].splitlines()[-2]
            role.limit(-1)
            poll(lambda: states()[deaf.pid] == "live")
            assert "polling" not in actors("tree").fine.out
            deaf.signal(signal.SIGTERM)
            assert deaf.wait() == 0
        finally:
            deaf.end()


def states() -> dict[int, str]:
    """The state of each node, by its process."""
    head, *rows = actors("nodes").fine.out.splitlines()
    place = slice(head.index("state"), head.index("started"))
    return {int(row.split(":")[1]): row[place].strip() for row in rows}


def test_a_task_is_submitted_waited_for_listed_and_shown(submit: Callable[..., str]) -> None:
    task_id = submit("greet", '{"name": "x"}')
    wait_for(task_id, "completed")
    assert 'result        "hello x"\n' in actors("show", task_id).fine.out
    assert task_id in actors("list", "--type", "greet", "--status", "completed").fine.out
    ended = actors("submit", "service:app", "fail", '{"text": "x"}', "--wait")
    assert (ended.code, SECRET in ended.err) == (1, False)
    assert "success" in actors("stats").fine.out


def test_a_pause_holds_on_every_node_until_it_is_ended(submit: Callable[..., str]) -> None:
    assert actors("pause", "--type", "greet").fine.out == "paused task type 'greet' on every node\n"
    task_id = submit("greet")
    assert actors("submit", "service:app", "fail", '{"text": "x"}', "--wait").code == 1
    assert status(task_id) == "pending"
    assert "task type 'greet' is paused on every node" in actors("check").fine.out
    assert actors("resume", "--type", "greet").fine.out
    wait_for(task_id, "completed")


def test_check_finds_the_server_the_nodes_and_who_waits(folder: Path) -> None:
    ended = until("works here", "check", "service:app")
    assert ended.out.count("works here") == 2
    assert ":***@" in ended.out
    assert "answers and takes writes; its tables are of version " in ended.out


def test_migrate_beside_live_nodes_has_nothing_to_do() -> None:
    for command in (("migrate",), ("migrate", "--check")):
        ended = until("version", *command)
        assert ":***@" in ended.out
    assert actors("migrate", "--sql", "--from", "1").fine.out.startswith("-- actors, postgresql: from version 1 ")


@pytest.mark.parametrize("command", [["nodes"], ["list"], ["stats"], ["migrate"], ["work", "service:app"]])
def test_a_server_that_lets_nobody_in_is_one_line_without_the_password(command: list[str], url: str) -> None:
    nowhere = make_url(url).set(database="nothing").render_as_string(hide_password=False)
    ended = actors(*command, "--database", nowhere)
    ended.refused('database "nothing" does not exist')
    assert SECRET not in ended.out + ended.err


def test_of_a_node_that_was_killed_the_other_one_takes_the_tasks_over(
    nodes: list[Node], submit: Callable[..., str]
) -> None:
    task_id = submit("endless")
    wait_for(task_id, "running")
    runs_it = actors("show", task_id, "--json").json["node"]
    (killed,) = [node for node in nodes if f":{node.pid}:" in runs_it]
    killed.signal(signal.SIGKILL)
    poll(lambda: actors("show", task_id, "--json").json["attempt"] == 2)
    poll(lambda: live() == 1)
    assert runs_it not in actors("nodes").fine.out
    assert actors("cancel", task_id).fine.out
    wait_for(task_id, "cancelled")
    assert not any(SECRET in node.log() for node in nodes)

"""What comes from the database is hostile: none of it reaches the terminal raw, in no command."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from actors import RetryPolicy, Settings, TaskContext, TaskRequest, TaskSystem
from tests.cli.world import HOSTILE, Ended, actors


class EvilError(Exception):
    """An error whose type's name is hostile too."""


EvilError.__name__ = EvilError.__qualname__ = f"Evil{HOSTILE}"


@pytest.fixture
def hostile(folder: Path) -> str:
    """The id of a failed task in which all that can be hostile is, even what no `submit` would take."""
    app = TaskSystem(settings=Settings())
    policy = RetryPolicy(max_retries=1, base_delay=0.001, jitter=False)

    async def evil(context: TaskContext, text: str) -> None:
        context.progress(0.5, text, more=text)
        raise EvilError(text)

    app.register_handler("evil", evil, retry=policy)

    async def main() -> str:
        async with app.running():
            ticket = await app.submit(TaskRequest("evil", {"text": HOSTILE}, metadata={HOSTILE: HOSTILE}))
            await ticket.wait()
            return ticket.task_id

    task_id = trio.run(main)
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        names = [f"{column} = :evil" for column in ("task_type", "lane", "key", "node")]
        connection.execute(f"UPDATE actors_task SET {', '.join(names)}", {"evil": HOSTILE})
        connection.execute("UPDATE actors_counter SET task_type = :evil", {"evil": HOSTILE})
        connection.execute("UPDATE actors_attempt SET node = :evil, outcome = :evil", {"evil": HOSTILE})
        snapshot = (
            '{"version": "\\u001b[2J", "running_tasks": "\\u202e", "lanes": {"\\u001b[2J": {"slots": "\\u0007"}},'
            ' "mailboxes": {"\\u001b[2J": {"state": "\\u009b", "last_error": "\\r\\n[bold]"}, "x": []}}'
        )
        connection.execute(
            "INSERT OR REPLACE INTO actors_node VALUES (:evil, 0, 1e10, 1e11, 1, :snapshot, NULL)",
            {"evil": HOSTILE, "snapshot": snapshot},
        )
    return task_id


def harmless(ended: Ended) -> Iterator[str]:
    """The lines of what was said, none of which does anything to a terminal."""
    for line in (ended.out + ended.err).split("\n"):
        assert line.isprintable(), repr(line)
        yield line


@pytest.mark.parametrize("command", ["list", "show ID", "stats", "tree", "nodes", "cancel ID", "retry ID", "check"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_no_command_lets_it_through(command: str, form: str, hostile: str) -> None:
    words = [hostile if word == "ID" else word for word in command.split()]
    ended = actors(*words, *form.split())
    assert ended.code == (1 if command.startswith("cancel") else 0), ended
    assert len(list(harmless(ended))) > 1


def test_it_is_shown_escaped_and_in_the_lines_where_it_belongs(hostile: str) -> None:
    shown = list(harmless(actors("show", hostile).fine))
    escaped = r"\x1b[31mred\x07\r\n\u202egnp.exe\u2066\x9b2J [bold]x[/bold] \x7f"
    assert f"type          {escaped}" in shown
    assert f"key           {escaped}" in shown
    assert [line for line in shown if line.startswith(f"progress      50.0% {escaped} ")]
    assert [line for line in shown if line.startswith(f"error         Evil{escaped}: {escaped} (attempt 2, ")]
    assert [line for line in shown if line.startswith(f"attempt 1     {escaped} on {escaped}, ")]
    assert "  | Traceback (most recent call last):" in shown


def test_json_has_it_as_it_is(hostile: str) -> None:
    found = actors("show", hostile, "--json").json
    assert found["task_type"] == found["key"] == found["error_info"]["message"] == HOSTILE
    assert found["input_data"] == {"text": HOSTILE}
    assert found["metadata"] == {HOSTILE: HOSTILE}
    assert [attempt["number"] for attempt in found["attempts"]] == [1, 2]
    (listed,) = actors("list", "--json").json
    assert {**listed, "attempts": found["attempts"]} == found


def test_a_list_is_found_by_a_hostile_name(hostile: str) -> None:
    assert len(actors("list", "--type", HOSTILE, "--json").json) == 1


@pytest.mark.parametrize("snapshot", ["null", "[]", "1", '{"mailboxes": 1, "lanes": [], "at": "x", "task_types": 1}'])
def test_a_snapshot_of_no_shape_does_no_harm(snapshot: str, hostile: str) -> None:
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        connection.execute("UPDATE actors_node SET snapshot = ?", [snapshot])
    for command in ("tree", "nodes", "check"):
        for form in ([], ["--json"]):
            assert list(harmless(actors(command, *form)))


def test_a_row_that_nobody_can_read_is_an_error_in_one_line(hostile: str) -> None:
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        connection.execute("UPDATE actors_task SET status = ?", [HOSTILE])
    actors("list").refused("is not a valid TaskStatus")

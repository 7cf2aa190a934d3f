"""Looking at a database on which nobody works: list, show, stats, tree, nodes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.world import actors

LOOKS = [
    ["list"], ["show", "01890a5d-ac96-774b-bcce-b302099a8057"], ["stats"], ["tree"], ["nodes"],
    ["cancel", "01890a5d-ac96-774b-bcce-b302099a8057"], ["delete", "01890a5d-ac96-774b-bcce-b302099a8057"],
    ["retry", "--failed"], ["retry", "01890a5d-ac96-774b-bcce-b302099a8057"], ["cleanup"], ["pause", "--lane", "a"],
    ["resume", "--type", "a"],
]  # fmt: skip


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_a_database_that_is_not_there_is_an_error_and_none_is_made(command: list[str], folder: Path) -> None:
    actors(*command).refused(f"the database file '{folder}/actors.db' does not exist")
    actors(*command, "--json", "--database", "sqlite:///other.db").refused("other.db' does not exist")
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["service.py"]


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_a_database_of_somebody_else_gets_no_tables(command: list[str], folder: Path) -> None:
    with sqlite3.connect("actors.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    actors(*command).refused("no tables of trio-actors")
    with sqlite3.connect("actors.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


def test_a_file_that_is_no_database_is_an_error(folder: Path) -> None:
    (folder / "actors.db").write_bytes(b"no database at all" * 100)
    actors("list").refused("file is not a database")


def test_a_database_in_memory_is_nobody_elses() -> None:
    actors("list", "--database", "sqlite:///:memory:").refused("in memory")


@pytest.mark.parametrize("url", ["nonsense", "mysql://user:secret@host/x", "postgresql://user:secret@host:port/x"])
def test_a_url_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    ended = actors("list", "--database", url)
    ended.refused()
    assert "secret" not in ended.err


def test_the_environment_says_where_the_database_is(
    folder: Path, submit: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///there.db")
    task_id = submit("greet")
    assert [task["task_id"] for task in actors("list", "--json").json] == [task_id]
    assert (folder / "there.db").exists()
    assert not (folder / "actors.db").exists()


def test_a_bad_setting_is_named(submit: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    submit("greet")
    monkeypatch.setenv("TASK_MAX_RETRIES", "many")
    actors("list").refused("TASK_MAX_RETRIES is 'many'; it should be a whole number")


# list


def test_a_list_shows_each_task_in_a_line(submit: Callable[..., str]) -> None:
    first, second = submit("greet"), submit("fail", '{"text": "x"}', "--key", "k")
    head, *rows = actors("list").fine.out.splitlines()
    assert head.split() == ["id", "status", "type", "age", "try", "note"]
    assert [row.split()[:3] for row in rows] == [[second, "pending", "fail"], [first, "pending", "greet"]]
    assert rows[0].endswith("key k")


def test_a_list_of_nothing_says_so(submit: Callable[..., str]) -> None:
    submit("greet")
    assert actors("list", "--status", "failed").fine.out == "no tasks\n"
    assert actors("list", "--status", "failed", "--json").json == []


def test_a_list_is_filtered(submit: Callable[..., str]) -> None:
    submit("greet")
    wanted = submit("fail", '{"text": "x"}', "--key", "k")

    def found(*filters: object) -> list[str]:
        return [task["task_id"] for task in actors("list", "--json", *filters).json]

    for filters in (
        ["--type", "fail"], ["--key", "k"], ["--limit", 1], ["--created-after", "1h", "--type", "fail"],
        ["--status", "PENDING", "--lane", "coroutine", "--limit", 1], ["--order", "newest", "--limit", 1],
    ):  # fmt: skip
        assert found(*filters) == [wanted]
    assert found("--created-before", "1h") == []
    assert found("--created-after", "2000-01-01", "--lane", "thread") == []


def test_a_list_goes_on_after_a_task(submit: Callable[..., str]) -> None:
    ids = [submit("greet") for _ in range(3)]
    page = actors("list", "--order", "oldest", "--limit", 2, "--after", ids[0], "--json").json
    assert [task["task_id"] for task in page] == ids[1:]
    actors("list", "--after", "01890a5d-ac96-774b-bcce-b302099a8057").refused("is stored")


def test_what_is_due_later_says_when(submit: Callable[..., str]) -> None:
    submit("greet", "{}", "--delay", "3h")
    assert "due in 3 h" in actors("list").fine.out


# show


def test_a_task_is_shown_with_all_that_was_asked_for(submit: Callable[..., str]) -> None:
    task_id = submit(
        "greet", '{"name": "x"}', "--priority", "high", "--key", "k", "--metadata", '{"a": 1}', "--timeout", "10m",
        "--max-retries", "7", "--delay", "1h", "--expires", "2h",
    )  # fmt: skip
    shown = actors("show", task_id.upper()).fine.out
    fields = {line[:14].strip(): line[14:] for line in shown.splitlines()}
    assert fields["id"] == task_id
    assert fields["priority"] == "10"
    assert fields["payload"] == '{"name": "x"}'
    assert fields["metadata"] == '{"a": 1}'
    assert fields["key"] == "k"
    assert fields["attempts"] == "0; 0 of 7 retries, 0 crashes"
    assert fields["time limits"] == "soft none, hard 600 s"
    assert {"created", "due", "expires"} <= set(fields)


def test_a_task_that_is_not_stored_is_an_error(submit: Callable[..., str]) -> None:
    submit("greet")
    actors("show", "01890a5d-ac96-774b-bcce-b302099a8057").refused("no task '01890a5d-ac96-774b-bcce-b302099a8057'")

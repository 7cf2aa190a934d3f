"""`actors check`: settings, application, database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.world import Ended, Node, actors
from tests.whole.process import poll


def findings(ended: Ended) -> list[tuple[str, str]]:
    """(verdict, subject) of each line."""
    found = []
    for line in ended.out.splitlines():
        verdict, subject, _ = line.split(maxsplit=2)
        found.append((verdict, subject))
    return found


def test_all_is_well_beside_a_live_node(start: Callable[..., Node]) -> None:
    start()
    poll(lambda: "last heard of" in actors("check").fine.out)
    ended = actors("check", "service:app").fine
    assert findings(ended) == [
        ("ok", "settings"), ("ok", "app"), ("ok", "database"), ("ok", "node"), ("ok", "waiting"),
    ]  # fmt: skip
    assert "service:app declares endless, fail, greet, stubborn" in ended.out
    assert "answers and takes writes; its tables are of version " in ended.out


def test_every_bad_variable_is_named(submit: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    submit("greet")
    monkeypatch.setenv("TASK_MAX_RETRIES", "many")
    monkeypatch.setenv("TASK_LANES", "reports")
    monkeypatch.setenv("TASK_AGING_SECONDS", "60")
    monkeypatch.setenv("TASK_GRACE_SECOND", "30")
    ended = actors("check")
    assert (ended.code, ended.err) == (1, "")
    assert findings(ended)[:4] == [("bad", "settings"), ("bad", "settings"), ("note", "settings"), ("ok", "database")]
    assert "TASK_MAX_RETRIES is 'many'" in ended.out
    assert "TASK_LANES has 'reports'" in ended.out
    assert "TASK_GRACE_SECOND is no setting; did you mean 'TASK_GRACE_SECONDS'?" in ended.out


def test_good_variables_are_listed(submit: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    submit("greet")
    assert "all at their defaults" in actors("check").fine.out
    monkeypatch.setenv("TASK_AGING_SECONDS", "60")
    assert "TASK_AGING_SECONDS read" in actors("check").fine.out


@pytest.mark.parametrize("name", ["servic:app", "service:ap", "service:empty"])
def test_an_application_that_will_not_do_is_bad_and_the_rest_is_checked(
    name: str, folder: Path, submit: Callable[..., str]
) -> None:
    submit("greet")
    ended = actors("check", name)
    assert ended.code == 1
    assert findings(ended)[:3] == [("ok", "settings"), ("bad", "app"), ("ok", "database")]


def test_a_database_that_is_not_there_is_bad_unless_a_node_may_make_it(folder: Path) -> None:
    alone = actors("check")
    assert (alone.code, findings(alone)[-1]) == (1, ("bad", "database"))
    with_app = actors("check", "service:app").fine
    assert findings(with_app)[-1] == ("note", "database")
    assert "is not there yet" in with_app.out
    assert not (folder / "actors.db").exists()


@pytest.mark.parametrize(("version", "words"), [("9999", "version 9999"), ("0001", "version 1, not ")])
def test_a_database_of_another_version_is_bad(version: str, words: str, submit: Callable[..., str]) -> None:
    submit("greet")
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        connection.execute("UPDATE actors_version SET version_num = ?", [version])
    ended = actors("check")
    assert ended.code == 1
    assert words in ended.out
    if version == "0001":
        assert ended.out.endswith("; run: actors migrate\n")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///:memory:", "postgresql://user:secret@/x?host=/nowhere"])
def test_a_database_that_cannot_be_reached_is_bad_and_its_password_not_shown(url: str, folder: Path) -> None:
    ended = actors("check", "--database", url)
    assert (ended.code, ended.err) == (1, "")
    assert findings(ended)[-1] == ("bad", "database")
    assert "secret" not in ended.out


def test_a_database_that_takes_no_writes_is_bad(submit: Callable[..., str]) -> None:
    submit("greet")
    with closing(sqlite3.connect("actors.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ended = actors("check")
    assert ended.code == 1
    assert "another process holds the write lock" in ended.out


def test_tasks_of_a_type_that_nobody_declares_are_told(submit: Callable[..., str]) -> None:
    submit("greet")
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        connection.execute("UPDATE actors_counter SET task_type = 'gret'")
        connection.execute("UPDATE actors_task SET task_type = 'gret'")
    assert "1 of type 'gret', which nobody declares; did you mean 'greet'?" in actors("check", "service:app").fine.out
    assert "1 waiting; give MODULE:APP to see for whom" in actors("check").fine.out


def test_as_json_it_is_a_list_of_findings(submit: Callable[..., str]) -> None:
    submit("greet")
    found = actors("check", "service:app", "--json").json
    assert [(one["subject"], one["verdict"]) for one in found] == [
        ("settings", "ok"), ("app", "ok"), ("database", "ok"), ("node", "note"), ("waiting", "ok"),
    ]  # fmt: skip


def test_a_node_that_has_gone_silent_is_a_note(submit: Callable[..., str]) -> None:
    submit("greet")
    now = time.time()
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        row = ["silent", now - 60, now - 10, now + 60, 1, None]
        connection.execute("INSERT INTO actors_node VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
    ended = actors("check", "service:app").fine
    assert ("note", "node") in findings(ended)
    assert "silent may be dead; last heard of 10 s ago" in ended.out

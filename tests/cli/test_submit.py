"""`actors submit`, with nobody there who works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.world import actors


def test_a_task_is_stored_and_its_id_printed(folder: Path) -> None:
    task_id = actors("submit", "service:app", "greet", '{"name": "x"}').fine.out.strip()
    (task,) = actors("list", "--json").json
    assert (task["task_id"], task["input_data"], task["status"]) == (task_id, {"name": "x"}, "pending")
    assert (folder / "actors.db").stat().st_mode & 0o777 == 0o600


def test_the_payload_may_come_from_stdin(folder: Path) -> None:
    assert actors("submit", "service:app", "greet", "-", stdin=b'{"name": "\xc3\xbc"}').fine.out
    assert actors("list", "--json").json[0]["input_data"] == {"name": "ü"}


def test_the_payload_may_be_left_out(folder: Path) -> None:
    assert actors("submit", "service:app", "greet").fine.out
    assert actors("list", "--json").json[0]["input_data"] == {}


def test_a_second_submit_of_an_id_or_a_key_is_the_same_task(folder: Path) -> None:
    own = "01890a5d-ac96-774b-bcce-b302099a8057"
    first = actors("submit", "service:app", "greet", "--id", own, "--key", "k", "--json").json
    assert first == {"task_id": own, "created": True}
    assert actors("submit", "service:app", "greet", "--id", own, "--json").json == {"task_id": own, "created": False}
    assert actors("submit", "service:app", "greet", "--key", "k").fine.out == f"{own}\n"


def test_another_database_can_be_named(folder: Path) -> None:
    assert actors("submit", "service:app", "greet", "--database", "sqlite:///other.db").fine.out
    assert len(actors("list", "--json", "--database", "sqlite:///other.db").json) == 1
    assert not (folder / "actors.db").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gret"], "no task named 'gret' is declared; did you mean 'greet'?"),
        (["greet", '{"nam": "x"}'], "has no field 'nam'; did you mean 'name'?"),
        (["greet", '{"name": 5}'], "name"),
        (["greet", '{"name": "\\ud800"}'], ""),
        (["greet", "--key", "a\nb"], "key is 'a\\nb'"),
        (["greet", "--delay", "2h", "--expires", "1h"], "before the task may start"),
        (["greet", "--timeout", "0"], "timeout is 0"),
        (["greet", "--metadata", f'{{"a": {2**70}}}'], "metadata"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_stored(arguments: list[str], words: str, folder: Path) -> None:
    actors("submit", "service:app", *arguments).refused(words)
    assert actors("list", "--json").json == []


@pytest.mark.parametrize(
    ("payload", "words"),
    [('{"name": "x"', "before the end"), ("[1]", "it should be an object"), ("name=x", "line 1, column 1")],
)
def test_a_payload_that_is_no_json_object_is_wrong_usage(payload: str, words: str, folder: Path) -> None:
    actors("submit", "service:app", "greet", payload).refused(words, code=2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("servic:app", "no module named 'servic' is found, from "),
        ("service.tasks:app", "no module named 'service.tasks' is found"),
        ("service:ap", "module 'service' has no 'ap'; did you mean 'app'?"),
        ("service:number", "service:number is a int, not a TaskSystem"),
        ("service:app.nothing", "module 'service' has no 'app.nothing'"),
        ("service:empty", "no task named 'greet' is declared"),
        ("broken:app", "module 'broken' cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_an_application_that_cannot_be_had_is_an_error_in_one_line(name: str, words: str, folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    actors("submit", name, "greet").refused(words)


def test_the_only_task_system_of_a_module_is_suggested(folder: Path) -> None:
    (folder / "broken.py").write_text("from actors import TaskSystem; tasks = TaskSystem()")
    actors("submit", "broken:app", "greet").refused("module 'broken' has no 'app'; did you mean 'broken:tasks'?")


def test_what_a_module_needs_and_is_not_there_is_named(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_library")
    actors("submit", "broken:app", "greet").refused("'broken' cannot be imported: No module named 'no_such_library'")


def test_debug_shows_where_a_module_failed(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    ended = actors("--debug", "submit", "broken:app", "greet")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert "Traceback" in ended.err

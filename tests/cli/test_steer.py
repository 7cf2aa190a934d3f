"""Steering on a database on which nobody works: cancel, delete, retry, pause, resume, cleanup."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.world import HOSTILE, actors, status

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_tasks_are_cancelled(submit: Callable[..., str]) -> None:
    first, second, third = (submit("greet") for _ in range(3))
    assert actors("cancel", first, second.upper()).fine.out == f"{first} is cancelled\n{second} is cancelled\n"
    assert actors("cancel", third, "--json").json == [{"task_id": third, "cancelled": True}]
    assert {status(task_id) for task_id in (first, second, third)} == {"cancelled"}


def test_what_cannot_be_cancelled_is_told_and_the_rest_goes_on(submit: Callable[..., str]) -> None:
    ended, alive = submit("greet"), submit("greet")
    assert actors("cancel", ended).fine.out
    done = actors("cancel", ended, UNKNOWN, alive)
    assert (done.code, done.out) == (1, f"{alive} is cancelled\n")
    had_ended, unknown = done.err.splitlines()
    assert had_ended == f"actors: task {ended} had ended before"
    assert unknown.startswith(f"actors: no task '{UNKNOWN}' is stored")
    assert status(alive) == "cancelled"


def test_json_says_what_could_not_be_done(submit: Callable[..., str]) -> None:
    submit("greet")
    done = actors("cancel", UNKNOWN, "--json")
    assert done.code == 1
    assert f'{{"task_id": "{UNKNOWN}", "error": "no task' in done.out


def test_an_ended_task_is_deleted_and_a_living_one_is_not(submit: Callable[..., str]) -> None:
    ended, alive = submit("greet"), submit("greet")
    assert actors("cancel", ended).fine.out
    done = actors("delete", ended, alive)
    assert (done.code, done.out) == (1, f"{ended} is deleted\n")
    assert done.err.startswith("actors: ")
    assert [task["task_id"] for task in actors("list", "--json").json] == [alive]


def test_an_ended_task_begins_anew(submit: Callable[..., str]) -> None:
    task_id = submit("greet")
    actors("retry", task_id).refused("pending")
    assert actors("cancel", task_id).fine.out
    assert actors("retry", task_id, "--json").json == [{"task_id": task_id, "retried": True}]
    assert status(task_id) == "pending"


def test_all_that_failed_begins_anew(submit: Callable[..., str]) -> None:
    ids = [submit("fail", '{"text": "x"}') for _ in range(3)] + [submit("greet")]
    fail(*ids)
    assert actors("retry", "--failed", "--type", "greet").fine.out == "1 task begins anew\n"
    assert actors("retry", "--failed", "--since", "2000-01-01", "--json").json == {"retried": 3}
    assert actors("retry", "--failed").fine.out == "0 tasks begin anew\n"
    assert {status(task_id) for task_id in ids} == {"pending"}


def fail(*task_ids: str) -> None:
    """Have them fail by hand; no node is there to do it."""
    with closing(sqlite3.connect("actors.db")) as connection, connection:
        for task_id in task_ids:
            connection.execute(
                "UPDATE actors_task SET status = 'failed', completed_at = created_at, rank = NULL WHERE task_id = ?",
                [task_id],
            )


def test_ended_tasks_are_cleaned_up_and_counted(submit: Callable[..., str]) -> None:
    cancelled, failed, _ = submit("greet"), submit("greet"), submit("greet")
    assert actors("cancel", cancelled).fine.out
    fail(failed)
    assert actors("cleanup").fine.out == "deleted 0 completed or cancelled, 0 failed or timed out\n"
    only = actors("cleanup", "--completed-older-than", "0s").fine.out
    assert only == "deleted 1 completed or cancelled, 0 failed or timed out\n"
    assert actors("cleanup", "--failed-older-than", "0", "--json").json == {"completed": 0, "failed": 1}
    assert [task["status"] for task in actors("list", "--json").json] == ["pending"]


@pytest.mark.parametrize("what", ["lane", "type"])
def test_a_pause_is_kept_in_the_database(what: str, folder: Path, submit: Callable[..., str]) -> None:
    submit("greet")

    def paused() -> list[tuple[str]]:
        with closing(sqlite3.connect("actors.db")) as connection:
            return connection.execute("SELECT name FROM actors_pause").fetchall()

    name = {"lane": "thread", "type": "greet"}[what]
    assert actors("pause", f"--{what}", name).fine.out.endswith(f" '{name}' on every node\n")
    assert paused() == [(name,)]
    assert actors("resume", f"--{what}", name).fine.out.startswith("resumed ")
    assert paused() == []


def test_the_end_of_a_pause_that_there_is_not_tells_what_is_paused(submit: Callable[..., str]) -> None:
    submit("greet")
    nothing = actors("resume", "--lane", "thread", "--json").json
    assert nothing == {"resumed": {"lane": "thread"}, "was_paused": False}
    assert actors("pause", "--type", "greet").fine.out
    assert actors("resume", "--type", "gret").fine.out == "task type 'gret' was not paused; paused: task type 'greet'\n"
    assert "task type 'greet' is paused" in actors("check").fine.out
    assert actors("resume", "--type", "greet", "--json").json == {"resumed": {"task_type": "greet"}, "was_paused": True}
    assert actors("resume", "--type", "greet").fine.out == "task type 'greet' was not paused; nothing is\n"


def test_a_name_that_no_task_can_have_is_refused(submit: Callable[..., str]) -> None:
    submit("greet")
    actors("pause", "--type", HOSTILE).refused("task_type is ")

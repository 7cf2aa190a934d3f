"""The fixtures, in a pytest of their own, as a user's project would have it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.test_packaging import modules_after

ROOT = Path(__file__).parents[2]

SERVICE = """
import trio
from actors import RetryPolicy, TaskContext, TaskSystem

app = TaskSystem("sqlite:///elsewhere.db")

@app.task(retry=RetryPolicy(base_delay=3600, max_delay=3600, jitter=False))
async def flaky(ctx: TaskContext) -> int:
    if ctx.attempt < 3:
        raise ConnectionError
    return ctx.attempt

@app.task(timeout=1)
def in_a_thread() -> str:
    import time
    time.sleep(0.05)
    return "done"
"""

CONFTEST = """
import pytest
from service import app

@pytest.fixture
def task_system():
    return app
"""

TESTS = """
import pytest
import trio
from actors.testing import assert_submitted, run_until_idle
from service import flaky, in_a_thread

@pytest.mark.trio
async def test_two_hours_pass_at_once(running_system):
    before = trio.current_time()
    ticket = await flaky.submit()
    await run_until_idle(running_system)
    assert await ticket.result() == 3
    assert trio.current_time() - before > 7000

async def test_a_mark_is_not_needed_and_time_stands_still_for_threads(running_system):
    assert await (await in_a_thread.submit()).result() == "done"

async def test_each_test_has_a_database_of_its_own(running_system):
    assert await running_system.count() == 0

async def test_a_clock_of_the_tests_own_wins(running_system, mock_clock):
    assert trio.lowlevel.current_clock() is mock_clock

async def test_what_does_not_use_the_fixture_is_left_alone():
    assert not isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
"""

OWN = """
from actors.testing import run_until_idle

async def test_a_new_system_without_an_override(running_system, task_system):
    assert running_system is task_system
    await run_until_idle(running_system)
"""


def pytest_run(folder: Path, *arguments: str, **files: str) -> str:
    """The output of pytest over *files*, which must all pass."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "actors.testing.plugin", "-p", "no:cacheprovider", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_fixtures_run_the_users_own_system_in_virtual_time(tmp_path: Path) -> None:
    said = pytest_run(
        tmp_path, "-W", "error", "-o", "trio_mode=true", service=SERVICE, conftest=CONFTEST, test_service=TESTS
    )
    assert "5 passed" in said
    assert not (tmp_path / "elsewhere.db").exists()


def test_there_is_a_system_without_an_override_and_trio_mode_is_not_needed(tmp_path: Path) -> None:
    assert "1 passed" in pytest_run(tmp_path, test_own=OWN)


def test_the_plugin_is_announced_under_the_name_of_its_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"actors.testing.plugin": "actors.testing.plugin"}


def test_the_start_of_pytest_pays_for_nothing() -> None:
    assert not {"trio", "sqlalchemy", "attrs", "orjson"} & modules_after("import actors.testing.plugin")

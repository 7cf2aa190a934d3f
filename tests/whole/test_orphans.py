"""Child processes do not outlive their node."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.execution.processes import lives
from tests.whole.process import Program, poll

AMOUNT = 4


@pytest.mark.parametrize("way", ["python", "c"], ids=["a loop in Python", "a call into C that keeps the lock"])
def test_nothing_is_left_a_second_after_a_node_was_killed_with_busy_children_that_have_children(
    start: Callable[..., Program], tmp_path: Path, way: str
) -> None:
    program = start("crunching", tmp_path / "tasks.db", tmp_path, AMOUNT, way)
    program.line("submitted")
    paths = [tmp_path / str(number) for number in range(AMOUNT)]
    poll(lambda: all(path.exists() for path in paths), within=30.0)
    families = [int(word) for path in paths for word in path.read_text().split()]
    poll(lambda: len(psutil.Process(program.pid).children()) == AMOUNT + 1)
    warm = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
    everybody = {*families, *warm}
    assert len(families) == 3 * AMOUNT
    assert len(warm) == 3 * AMOUNT + 1, "those who work, their families, and the one that is started ahead"
    assert set(families) < set(warm)
    assert all(lives(pid) for pid in everybody)
    killed_at = program.kill()
    poll(lambda: not any(lives(pid) for pid in everybody), within=1.0)
    assert time.monotonic() - killed_at < 1.0

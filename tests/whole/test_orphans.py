"""Child processes do not outlive their node."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.execution.processes import lives
from tests.whole.process import Program, poll

AMOUNT = 4


def test_nothing_is_left_a_second_after_a_node_was_killed_with_busy_children_that_have_children(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    program = start("crunching", tmp_path / "tasks.db", tmp_path, AMOUNT)
    program.line("submitted")
    paths = [tmp_path / str(number) for number in range(AMOUNT)]
    poll(lambda: all(path.exists() for path in paths), within=30.0)
    families = [int(word) for path in paths for word in path.read_text().split()]
    warm = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
    everybody = {*families, *warm}
    assert len(families) == 3 * AMOUNT
    assert all(lives(pid) for pid in everybody)
    killed_at = program.kill()
    poll(lambda: not any(lives(pid) for pid in everybody), within=1.0)
    assert time.monotonic() - killed_at < 1.0

"""Users' code is typed: right uses pass mypy --strict and pyright's strict mode, and wrong ones do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.environment import untraced

SAMPLE = Path(__file__).with_name("typed_sample.py")


def test_mypy_takes_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    """The sample's ignores are needed, each one: --strict complains of those that are not."""
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", str(SAMPLE)],
        capture_output=True, text=True, check=False, cwd=SAMPLE.parents[2], timeout=110, env=untraced(),
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_pyright_agrees(tmp_path: Path) -> None:
    """The same sample, and again each ignore is needed. What it thinks of the package itself is not asked."""
    config = {
        "include": [str(SAMPLE)],
        "extraPaths": [str(SAMPLE.parents[2])],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportUnusedFunction": "none",
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(config))
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--project", str(project), "--pythonpath", sys.executable],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=110, env=untraced(),
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr

"""The guide's blocks, run as the files that they say they are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.testing.test_plugin import ROOT, pytest_run

GUIDE = ROOT / "docs" / "guides" / "testing.md"


def blocks() -> dict[str, str]:
    """Every block of Python, by the name in its first line."""
    found = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    named = {name: text for text in found for name in re.findall(r"\A# (\w+)\.py\n", text)}
    assert len(named) == len(found), "a block has no name, or two have the same"
    return named


def test_all_blocks_pass_as_a_project_of_their_own(tmp_path: Path) -> None:
    said = pytest_run(tmp_path, "-W", "error", "-o", "trio_mode=true", **blocks())
    assert "7 passed" in said
    assert not list(tmp_path.glob("*.db"))

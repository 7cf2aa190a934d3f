"""What the guide quotes is what the examples say, and the examples are run."""

from __future__ import annotations

import re

from tests.embedding.service import EXAMPLES, ROOT

GUIDE = (ROOT / "docs" / "guides" / "embedding.md").read_text(encoding="utf-8")


def test_every_block_is_quoted_from_an_example() -> None:
    blocks = re.findall(r"^```py\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    programs = [path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")]
    assert len(blocks) >= 7
    assert [block for block in blocks if not any(block in program for program in programs)] == []


def test_every_example_is_in_the_guide_and_is_run() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "embedding").glob("test_*.py"))
    for path in EXAMPLES.glob("*.py"):
        assert f"../examples/{path.name}" in GUIDE
        assert path.stem in tests

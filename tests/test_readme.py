"""The README's examples are run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import trio
from trio.testing import MockClock

from actors import TaskStatus, TaskSystem

README = Path(__file__).parent.parent / "README.md"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_quick_start_says_hello(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", examples()[0]], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "hello trio\n"
    assert ran.stderr == ""
    assert (tmp_path / "tasks.db").stat().st_mode & 0o777 == 0o600


async def copied(url: str) -> AsyncIterator[float]:
    for fraction in (0.5, 1.0):
        await trio.sleep(60)
        yield fraction


async def test_the_handler_with_a_context_does_what_the_text_says(autojump_clock: MockClock) -> None:
    app = TaskSystem("sqlite:///:memory:")
    cleaned = []

    async def clean_up(url: str) -> None:
        cleaned.append(url)

    names = {"app": app, "copy": copied, "clean_up": clean_up, "size_of": len}
    exec(compile(examples()[1], str(README), "exec"), names)
    mirror = names["mirror"]
    async with app.running():
        ticket = await mirror.submit(url="here")  # type: ignore[attr-defined]  # made by the README's text
        assert await ticket.result() == 4
        again = await mirror.options(delay=60, key="k", priority=20).submit(url="there")  # type: ignore[attr-defined]
        assert await again.cancel()
        assert (await again.wait()).status is TaskStatus.CANCELLED
        late = await mirror.options(soft_timeout=30, max_retries=0).submit(url="slow")  # type: ignore[attr-defined]
        assert (await late.wait()).status is TaskStatus.TIMEOUT
    assert cleaned == ["slow"]

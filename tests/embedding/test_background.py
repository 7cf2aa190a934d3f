"""BackgroundTasks, and durable tasks in their place: what a kill -9 makes of both."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import httpx
import pytest

from tests.embedding.conftest import Start
from tests.embedding.service import EXAMPLES, ROOT, Service, eventually


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """The file that stands for the mail server."""
    return tmp_path / "outbox.txt"


async def sign_up(service: Service, name: str) -> None:
    """Get the promise that *name* will be welcomed."""
    async with httpx.AsyncClient(base_url=service.url) as http:
        assert (await http.post(f"/signup/{name}")).json() == "ok"


async def mails(outbox: Path, count: int) -> list[str]:
    """The mails that were sent, when there are so many."""

    async def there() -> bool:
        return len(sent(outbox)) >= count

    await eventually(there)
    return sent(outbox)


def sent(outbox: Path) -> list[str]:
    """The mails that were sent."""
    return sorted(outbox.read_text().splitlines()) if outbox.exists() else []


async def test_a_kill_loses_background_tasks(start: Start, outbox: Path) -> None:
    async with start("background_before.py") as service:
        await sign_up(service, "ann")
        await service.kill()
    async with start("background_before.py") as service:
        await sign_up(service, "bob")
        assert await mails(outbox, 1) == ["welcome, bob"]
        assert await service.interrupt() == 0
    assert await mails(outbox, 1) == ["welcome, bob"], "ann was promised a mail that never comes"


async def test_a_kill_loses_nothing_of_durable_tasks(start: Start, outbox: Path) -> None:
    async with start("background_after.py") as service:
        for name in ("ann", "bob", "eve"):
            await sign_up(service, name)
        await service.kill()
    promised = {"welcome, ann", "welcome, bob", "welcome, eve"}
    assert set(sent(outbox)) < promised, "the kill came too late"

    async def all_sent() -> bool:
        return set(sent(outbox)) == promised

    async with start("background_after.py") as service:
        await eventually(all_sent)
        assert await service.interrupt() == 0


def test_the_guide_shows_what_has_to_be_changed() -> None:
    before, after = [
        (EXAMPLES / f"background_{name}.py").read_text().split('"""', 2)[2].splitlines() for name in ("before", "after")
    ]
    changed = [
        line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")
    ]
    guide = (ROOT / "docs" / "guides" / "embedding.md").read_text()
    (shown,) = re.findall(r"^```diff\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert [line for line in shown.splitlines() if line[0] in "+-"] == [line for line in changed if line != "+"]

"""Questions to Storage, and what becomes of them while the database does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from sqlalchemy.exc import OperationalError
from trio.testing import MockClock

from actors.core.errors import NotRunning, StorageUnavailable
from actors.kernel import Probe
from actors.system.door import Door
from actors.system.messages import Read

LOST = OperationalError("SELECT 1", {}, Exception("server closed the connection"), connection_invalidated=True)


@asynccontextmanager
async def answered(answer: Callable[[Read], object]) -> AsyncIterator[Door]:
    """A door behind which *answer* answers."""
    storage: Probe[Any] = Probe("storage")

    async def serve() -> None:
        while True:
            answer(await storage.next())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield Door(storage.handle)
        nursery.cancel_scope.cancel()


async def test_a_read_is_asked_again_until_the_database_is_back(autojump_clock: MockClock) -> None:
    begun = trio.current_time()

    def answer(read: Read) -> None:
        if trio.current_time() < begun + 4:
            read.fail(LOST)
        else:
            read.answer("found")

    async with answered(answer) as door:
        assert await door.read(lambda connection: "") == "found"
    assert 4 <= trio.current_time() - begun < 6


async def test_a_database_that_does_not_come_back_is_said_after_ten_seconds(autojump_clock: MockClock) -> None:
    async with answered(lambda read: read.fail(LOST)) as door:
        with pytest.raises(StorageUnavailable, match=r"for 1\d.* s: the connection was lost; it may be asked again"):
            await door.read(lambda connection: "")


@pytest.mark.parametrize("error", [NotRunning("over"), ValueError("no such column")], ids=repr)
async def test_what_does_not_pass_is_told_at_once(autojump_clock: MockClock, error: Exception) -> None:
    begun = trio.current_time()
    async with answered(lambda read: read.fail(error)) as door:
        with pytest.raises(type(error)):
            await door.read(lambda connection: "")
    assert trio.current_time() == begun

"""Each cell of the stopping guide's table is tried, with an `until_stopping` scope that is cut short and without."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from actors import RetryPolicy, Settings, TaskContext, TaskEventType, TaskSystem
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guides" / "stopping.md"
ENDS = {
    "`COMPLETED`": TaskEventType.COMPLETED,
    "`CANCELLED`": TaskEventType.CANCELLED,
    "`PENDING`": TaskEventType.RETURNED,
    "timed out": TaskEventType.TIMED_OUT,
    "as ever": TaskEventType.FAILED,  # with a policy that tries nothing again
}


def cells() -> list[tuple[str, str, str]]:
    """What the handler does, what stops it, and what the page says of both."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("| it does this after the soft stage") :].partition("\n\n")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [(row[0], cause, cell) for row in rows for cause, cell in zip(head[1:], row[1:], strict=True)]


def told(cell: str, cut: bool) -> TaskEventType:
    """The event that *cell* stands for; its last part may be about scopes that were cut short."""
    *plain, last = re.split("; ", cell)
    words = last if cut or not plain else plain[0]
    return next(event for start, event in ENDS.items() if words.startswith(start))


async def returns(_: TaskContext) -> None:
    """Do nothing."""


async def checks(ctx: TaskContext) -> None:
    ctx.check()


async def raises(_: TaskContext) -> None:
    raise ValueError


async def stays(_: TaskContext) -> None:
    await trio.sleep_forever()


DEEDS: dict[str, Callable[[TaskContext], Awaitable[None]]] = {
    "returns": returns,
    "`ctx.check()` raises `StopRequested`": checks,
    "raises something else": raises,
    "reaches the hard stage": stays,
}


def test_the_table_has_every_deed_and_every_cause() -> None:
    assert [deed for deed, cause, _ in cells() if cause == "cancel"] == list(DEEDS)
    assert [cause for deed, cause, _ in cells() if deed == "returns"] == ["time limit", "cancel", "shutdown"]


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut short"])
@pytest.mark.parametrize(("deed", "cause", "cell"), cells())
async def test_the_table_tells_what_happens(
    deed: str, cause: str, cell: str, cut: bool, autojump_clock: MockClock
) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(grace_seconds=5))
    limits = {"soft_timeout": 10.0, "timeout": 20.0} if cause == "time limit" else {}
    heard: list[TaskEventType] = []
    app.on_event(lambda event: heard.append(event.type))

    async def handler(ctx: TaskContext) -> None:
        if cut:
            with ctx.until_stopping():
                await trio.sleep_forever()
        while ctx.stopping is None:  # noqa: ASYNC110  # the other way for a handler to notice
            await trio.sleep(0.1)
        await DEEDS[deed](ctx)

    declared = app.register_handler("handler", handler, retry=RetryPolicy.none(), **limits)  # type: ignore[arg-type]  # both are floats
    async with app.running():
        ticket = await declared.submit()
        await trio.sleep(1)
        if cause == "cancel":
            await ticket.cancel()
        if cause != "shutdown":
            await ticket.wait()
    assert [event for event in heard if event in ENDS.values()] == [told(cell, cut)]

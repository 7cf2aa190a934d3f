"""Each cell of the stopping guide's tables is tried, with an `until_stopping` scope that is cut short and without."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import ExecutionMode, RetryPolicy, Settings, TaskContext, TaskEventType, TaskRequest, TaskSystem
from tests.docs import deeds
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guides" / "stopping.md"
ENDS = {
    "`COMPLETED`": TaskEventType.COMPLETED,
    "`CANCELLED`": TaskEventType.CANCELLED,
    "`PENDING`": TaskEventType.RETURNED,
    "timed out": TaskEventType.TIMED_OUT,
    "as ever": TaskEventType.FAILED,  # with a policy that tries nothing again
}


def table(page: Path, beginning: str) -> list[tuple[str, str, str]]:
    """The cells of the table on *page* whose head is so: the name of the row, that of the column, and the text."""
    text = page.read_text(encoding="utf-8")
    found = text[text.index(f"| {beginning} |") :].partition("\n\n")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()]
    return [(row[0], column, cell) for row in rows for column, cell in zip(head[1:], row[1:], strict=True)]


def cells() -> list[tuple[str, str, str]]:
    """What the handler does, what stops it, and what the page says of both."""
    return table(PAGE, "it does this after the soft stage")


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


PLAIN: dict[str, Callable[[TaskContext], None]] = {
    "returns": deeds.returns,
    "`ctx.check()` raises `StopRequested`": deeds.checks,
    "raises something else": deeds.raises,
    "reaches the hard stage": deeds.stays,
}
KINDS = ["coroutine", "asyncio coroutine", "thread", "process"]


def test_the_tables_of_modes_have_every_mode() -> None:
    for beginning in ("the handler | soft stage", "the handler | raises"):
        assert [*dict.fromkeys(kind for kind, _, _ in table(PAGE, beginning))] == KINDS
    columns = [*dict.fromkeys(column for _, column, _ in table(PAGE.with_name("modes.md"), "| coroutine"))]
    assert columns == [mode.value for mode in ExecutionMode]


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


@pytest.mark.parametrize("cause", ["time limit", "cancel", "shutdown"])
@pytest.mark.parametrize("mode", [ExecutionMode.ASYNCIO, ExecutionMode.THREAD, ExecutionMode.PROCESS])
async def test_the_table_is_true_of_every_mode(mode: ExecutionMode, cause: str, tmp_path: Path) -> None:
    """The deeds side by side, in real time; coroutines have had theirs above."""
    if mode is ExecutionMode.ASYNCIO and find_spec("trio_asyncio") is None:
        pytest.skip("there is no asyncio mode on Python 3.14")
    settings = Settings(grace_seconds=0.4, max_io_workers=len(PLAIN), max_cpu_workers=len(PLAIN))
    app = TaskSystem(f"sqlite:///{tmp_path}/tasks.db", settings=settings)
    limits: dict[str, Any] = {"soft_timeout": 1.5, "timeout": 2.2} if cause == "time limit" else {}
    heard: dict[str, list[TaskEventType]] = {deed: [] for deed in PLAIN}
    app.on_event(lambda event: heard[event.task_type].append(event.type))
    for deed, plain in PLAIN.items():
        function = _of_asyncio(DEEDS[deed]) if mode is ExecutionMode.ASYNCIO else plain
        app.register_handler(deed, function, mode=mode, retry=RetryPolicy.none(), **limits)
    async with app.running(), app.events(types=TaskEventType.PROGRESS) as begun:
        tickets = await app.submit_many(TaskRequest(deed) for deed in PLAIN)
        running: set[str] = set()
        while cause != "time limit" and running != set(PLAIN):
            running.add((await begun.receive()).task_type)
        for ticket in tickets:
            if cause == "cancel":
                await ticket.cancel()
        for ticket in tickets:
            if cause != "shutdown":
                await ticket.wait()
    ends = {deed: [event for event in events if event in ENDS.values()] for deed, events in heard.items()}
    assert ends == {deed: [told(cell, cut=False)] for deed, stopped_by, cell in cells() if stopped_by == cause}


def _of_asyncio(deed: Callable[[TaskContext], Awaitable[None]]) -> Callable[[TaskContext], Awaitable[None]]:
    async def handler(ctx: TaskContext) -> None:
        ctx.progress(0.5)
        while ctx.stopping is None:  # noqa: ASYNC110  # the way for a handler to notice
            await asyncio.sleep(0.01)
        if deed is stays:
            await asyncio.sleep(3600)
        await deed(ctx)

    return handler

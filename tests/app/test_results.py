"""Results and errors that cannot be kept, and payloads that no longer fit: one task ends, the rest goes on."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import Settings, TaskEventType, TaskStatus, TaskSystem
from actors.errors import TaskFailed
from tests.app.world import collect


async def fine() -> str:
    """An innocent neighbour."""
    return "fine"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = trio.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (object(), ("object",)),
        (math.nan, ("nan",)),
        ({"deep": [math.inf]}, ("deep", "inf")),
        (2**80, ("64 bit",)),
        ({1: "one"}, ("1",)),
    ],
)
async def test_a_result_that_cannot_be_stored_fails_the_task_and_says_where(
    app: TaskSystem, result: Any, words: tuple[str, ...], autojump_clock: MockClock
) -> None:
    runs = []

    @app.task(max_retries=3)
    async def unstorable() -> Any:
        runs.append(True)
        return result

    neighbour = app.task(fine)
    async with app.running():
        ticket = await unstorable.submit()
        with pytest.raises(TaskFailed) as caught:
            await ticket.result()
        assert await (await neighbour.submit()).result() == "fine"
        assert app.metrics().running_tasks == 0
    for word in ("'unstorable'", "result", *words):
        assert word in str(caught.value)
    assert runs == [True], "the work was done once: to repeat it would not help"


async def test_a_result_that_is_not_what_was_promised_fails_the_task(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=0)
    async def liar() -> int:
        return "5"  # type: ignore[return-value]  # the fault that this test is about

    async with app.running():
        with pytest.raises(TaskFailed, match="result"):
            await (await liar.submit()).result()


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Unprintable(), "Unprintable"),
        (Unpicklable(), "Unpicklable"),
        (ValueError("half a pair \ud800 and a zero \0"), "ValueError"),
        (ValueError("x" * 5_000_000), "ValueError"),
        (ExceptionGroup("several", [KeyError("first"), ValueError("second")]), "KeyError"),
        (type("Weird\x1b[31m", (Exception,), {})("odd name"), "Weird"),
        (RecursionError(), "RecursionError"),
    ],
    ids=["unprintable", "unpicklable", "no text", "huge", "group", "odd name", "no message"],
)
async def test_an_error_of_whatever_kind_can_be_stored(
    app: TaskSystem, error: Exception, name: str, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=1)
    async def fail() -> None:
        raise error

    neighbour = app.task(fine)
    async with app.running():
        ticket = await fail.submit()
        ended = await ticket.wait()
        assert (ended.status, ended.attempt) == (TaskStatus.FAILED, 2)
        assert ended.error_info is not None
        assert name in ended.error_info.type
        with pytest.raises(TaskFailed):
            await ticket.result()
        assert len(await app.attempts(ticket.task_id)) == 2
        assert await (await neighbour.submit()).result() == "fine"
        (most_common, *_) = (await app.statistics()).top_errors
        assert name in most_common


async def test_a_handler_that_would_end_the_process_ends_its_task_only(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task(max_retries=0)
    async def leave() -> None:
        sys.exit(3)

    neighbour = app.task(fine)
    async with app.running():
        assert (await (await leave.submit()).wait()).status is TaskStatus.FAILED
        assert await (await neighbour.submit()).result() == "fine"


async def test_the_traceback_is_kept_and_shows_the_handler(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task(max_retries=0)
    async def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    async with app.running():
        with pytest.raises(TaskFailed) as caught:
            await (await fail.submit()).result()
    info = caught.value.error_info
    assert info is not None
    for text in ("in fail", "KeyError: 'inner'", "ValueError: outer", "direct cause"):
        assert text in info.traceback


async def test_a_payload_that_no_longer_fits_fails_its_task_at_once_and_names_the_field(file_url: str) -> None:
    async def by_number(number: int) -> None: ...

    async def by_name(name: str) -> None: ...

    before = TaskSystem(file_url, settings=Settings())
    old = before.register_handler("greet", by_number)
    async with before.running(work=False):
        ticket = await old.submit(5)
    after = TaskSystem(file_url, settings=Settings())
    after.register_handler("greet", by_name)
    neighbour = after.task(fine)
    async with after.running():
        with trio.fail_after(5), pytest.raises(TaskFailed) as caught:
            await after.ticket(ticket.task_id).result()
        ended = await after.ticket(ticket.task_id).wait()
        assert await (await neighbour.submit()).result() == "fine"
    assert ended.attempt == 1
    assert caught.value.error_info is not None
    assert caught.value.error_info.type == "InvalidPayload"
    assert "'greet'" in caught.value.error_info.message
    assert "number" in caught.value.error_info.message or "name" in caught.value.error_info.message


async def test_an_unknown_type_is_left_for_a_node_that_knows_it(file_url: str) -> None:
    knows, other = TaskSystem(file_url, settings=Settings()), TaskSystem(file_url, settings=Settings())
    known, neighbour = knows.register_handler("known", fine), other.register_handler("neighbour", fine)
    async with knows.running(work=False):
        ticket = await known.submit()
    async with other.running(), other.events() as events:
        await neighbour.submit()
        await collect(events, TaskEventType.COMPLETED)
        task = await other.get(ticket.task_id)
        assert task is not None
        assert (task.status, task.attempt) == (TaskStatus.PENDING, 0)
    async with knows.running():
        assert await ticket.result() == "fine"

"""What the tests of the public interface share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import ExecutionMode, TaskEvent, TaskEventType, TaskSystem, Ticket
from actors.errors import ActorsError

HOUR = 3600.0
DAY = 24 * HOUR


async def echo(text: str = "") -> str:
    """A handler that gives back what it gets."""
    return text


def in_process(app: TaskSystem, function: Callable[..., Any], **options: Any) -> Any:
    """*function* as a handler of mode process, without retries."""
    given: dict[str, Any] = {"mode": ExecutionMode.PROCESS, "max_retries": 0, **options}
    return app.register_handler(function.__name__, function, **given)


def file_exists(url: str) -> bool:
    """Whether the SQLite file of *url* is there."""
    return Path(url.removeprefix("sqlite:///")).exists()


@contextmanager
def refused(kind: type[ActorsError], *words: str) -> Iterator[None]:
    """The block raises *kind*, in one line that contains all of *words*: the thing, the fault, what would work."""
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


async def collect(receive: trio.MemoryReceiveChannel[TaskEvent], last: TaskEventType) -> list[TaskEvent]:
    """The events up to the first one of the type *last*."""
    events = []
    async for event in receive:
        events.append(event)
        if event.type is last:
            break
    return events


def drained(receive: trio.MemoryReceiveChannel[TaskEvent]) -> list[TaskEvent]:
    """The events that wait in a channel."""
    events = []
    while receive.statistics().current_buffer_used:
        events.append(receive.receive_nowait())
    return events


async def all_ended(tickets: Sequence[Ticket[Any]]) -> None:
    """Wait until every task has ended, however."""
    for ticket in tickets:
        await ticket.wait()

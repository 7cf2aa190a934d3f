"""What users write, for type checkers alone: each `type: ignore` stands where they have to complain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, assert_type

import trio
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

import actors
from actors import (
    AttemptEnd,
    DeclaredTask,
    ExecutionMode,
    Handlers,
    RetryPolicy,
    Task,
    TaskContext,
    TaskEvent,
    TaskPriority,
    TaskRequest,
    TaskStatus,
    TaskSystem,
    Ticket,
)
from actors.errors import ActorsError

app = TaskSystem("sqlite:///:memory:")


@app.task
async def greet(name: str, times: int = 1) -> str:
    """A coroutine function."""
    return f"hello {name}" * times


@app.task(timeout=30, max_retries=3, retry=RetryPolicy.network())
async def measure(ctx: TaskContext, size: float) -> list[int]:
    """With a context, and options."""
    ctx.progress(0.5)
    with ctx.until_stopping():
        await trio.sleep_forever()
    return [int(size)]


@app.task
def blocking(path: str) -> bytes:
    """A plain function."""
    return path.encode()


@app.task(lane="thread", priority=TaskPriority.HIGH)
def blocking_with_context(ctx: TaskContext, path: str) -> None:
    """A plain function with a context, and options."""
    ctx.check()


@app.task
async def context_without_options(ctx: TaskContext, path: str) -> int:
    """With a context, without options."""
    return ctx.attempt


handlers = Handlers()


@handlers.task
async def apart(number: int) -> float:
    """Declared apart from a system."""
    return number / 2


@handlers.task(name="apart.thread", mode=ExecutionMode.THREAD, timeout=None)
def apart_in_a_thread(ctx: TaskContext, text: str) -> str:
    """With a context, and options."""
    assert_type(ctx.submit(apart.request(1)), str)
    assert_type(ctx.attempt, int)
    assert_type(actors.current(), TaskContext)
    ticket = app.submit_sync(TaskRequest("greet", {"name": text}))
    assert_type(ticket.task_id, str)
    ctx.submit("greet")  # type: ignore[arg-type]
    return text


app.include(handlers, prefix="library.")
app.configure("library.apart", priority=7, timeout=None)


@app.before_submit
def stamp(request: TaskRequest) -> TaskRequest:
    """A hook that changes requests."""
    return request


@app.before_attempt
def begin(ctx: TaskContext) -> None:
    """A hook that sees attempts begin."""


@app.after_attempt
def end(ctx: TaskContext, came_to: AttemptEnd) -> None:
    """A hook that sees attempts end."""
    assert_type(came_to.outcome, str)
    assert_type(came_to.error, Exception | None)


assert_type(stamp(TaskRequest("greet")), TaskRequest)


async def use() -> None:
    """Right uses."""
    async with app.running():
        assert_type(await greet.submit(name="trio"), Ticket[str])
        assert_type(await greet.submit("trio", 2), Ticket[str])
        assert_type(await (await measure.submit(size=2.5)).result(), list[int])
        assert_type(await blocking.submit("x"), Ticket[bytes])
        assert_type(await blocking_with_context.submit("x"), Ticket[None])
        assert_type(await context_without_options.submit(path="x"), Ticket[int])
        assert_type(await apart.submit(number=1), Ticket[float])
        assert_type(await (await apart_in_a_thread.submit("x")).result(), str)
        assert_type(await apart.options(priority=3, delay=timedelta(minutes=1)).submit(1), Ticket[float])
        assert_type(greet.request(name="x"), TaskRequest)
        ticket = await greet.options(key="k", timeout=None).submit(name="x")
        with trio.fail_after(5):
            assert_type(await ticket.wait(), Task)
        assert_type(await ticket.status(), TaskStatus)
        assert_type(await ticket.cancel(), bool)
        assert_type(await app.submit_many([greet.request("a")]), list[Ticket[Any]])
        with app.requests() as requests:
            send, receive = trio.open_memory_channel[TaskEvent](10)
            await requests.send(TaskRequest("greet", {"name": "x"}, reply_to=send))
            assert_type(await receive.receive(), TaskEvent)


async def enqueue(connection: Connection, session: Session, later: AsyncSession) -> None:
    """In transactions of the user's own."""
    assert_type(app.enqueue(connection, [greet.request("a")]), list[Ticket[Any]])
    app.enqueue(session, [greet.request("a")])
    assert_type(await later.run_sync(app.enqueue, [greet.request("a")]), list[Ticket[Any]])
    app.enqueue("sqlite:///tasks.db", [])  # type: ignore[arg-type]
    app.enqueue(later, [])  # type: ignore[arg-type]


@app.resource("pool")
async def open_pool() -> AsyncIterator[int]:
    """A factory stays what it is."""
    yield 5


request_id: ContextVar[str] = ContextVar("request_id")
app.propagate(request_id)


async def batches() -> None:
    """Results have the handler's type."""
    assert_type(app.resource("other", open_pool), Callable[[], AsyncIterator[int]])
    async with app.map(greet, [{"name": "x"}]) as results:
        assert_type([result async for result in results], list[str])
    async with app.map(apart.options(priority=1), ({"size": n} for n in range(3)), errors="yield") as either:
        assert_type(await anext(either), float | ActorsError)


async def misuse() -> None:
    """Wrong uses."""
    await greet.submit(name=5)  # type: ignore[arg-type]
    await greet.submit()  # type: ignore[call-arg]
    await greet.submit("x", 1, 2)  # type: ignore[call-arg]
    await greet.submit(nmae="x")  # type: ignore[call-arg]
    await measure.submit("big")  # type: ignore[arg-type]
    await blocking.submit(path=b"x")  # type: ignore[arg-type]
    await blocking_with_context.submit()  # type: ignore[call-arg]
    await context_without_options.submit(path=1)  # type: ignore[arg-type]
    await apart.submit("one")  # type: ignore[arg-type]
    await apart_in_a_thread.options(priority=1).submit(1)  # type: ignore[arg-type]
    greet.request(5)  # type: ignore[arg-type]
    greet.options(priorty=5)  # type: ignore[call-arg]
    greet.options(delay="soon")  # type: ignore[arg-type]
    app.submit_sync("greet")  # type: ignore[arg-type]
    app.task(timeout="long")  # type: ignore[call-overload]
    handlers.task(max_retrys=1)  # type: ignore[call-overload]
    app.configure("greet", priorty=1)  # type: ignore[call-arg]
    app.include(greet)  # type: ignore[arg-type]
    app.before_submit(begin)  # type: ignore[type-var]
    app.after_attempt(begin)  # type: ignore[type-var]
    app.map(greet, [5])  # type: ignore[list-item]
    app.map(greet, [], errors="ignore")  # type: ignore[call-overload]
    app.resource("pool", 5)  # type: ignore[call-overload]
    app.resource("pool", dict)  # type: ignore[type-var]
    app.propagate("request_id")  # type: ignore[arg-type]


def generic(task: DeclaredTask[[str], str]) -> Callable[[str], Coroutine[Any, Any, Ticket[str]]]:
    """A declared task in an annotation."""
    return task.submit

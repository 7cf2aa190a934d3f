"""What users write, for the type checker alone: each `type: ignore` stands where it has to complain."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

import trio

from actors import (
    DeclaredTask,
    RetryPolicy,
    Task,
    TaskContext,
    TaskPriority,
    TaskRequest,
    TaskStatus,
    TaskSystem,
    Ticket,
)

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


async def use() -> None:
    """Right uses, and wrong ones."""
    async with app.running():
        assert_type(await greet.submit(name="trio"), Ticket[str])
        assert_type(await greet.submit("trio", 2), Ticket[str])
        assert_type(await (await measure.submit(size=2.5)).result(), list[int])
        assert_type(await blocking.submit("x"), Ticket[bytes])
        assert_type(await blocking_with_context.submit("x"), Ticket[None])
        assert_type(await context_without_options.submit(path="x"), Ticket[int])
        assert_type(greet.options(priority=3, delay=timedelta(minutes=1)), DeclaredTask[[str, int], str])  # type: ignore[assert-type]  # names and defaults are kept, which a list of types cannot say
        assert_type(greet.request(name="x"), TaskRequest)
        ticket = await greet.options(key="k", timeout=None).submit(name="x")
        with trio.fail_after(5):
            assert_type(await ticket.wait(), Task)
        assert_type(await ticket.status(), TaskStatus)
        assert_type(await ticket.cancel(), bool)
        assert_type(await app.submit_many([greet.request("a")]), list[Ticket[object]])  # type: ignore[assert-type]  # it is list[Ticket[Any]]

        await greet.submit(name=5)  # type: ignore[arg-type]
        await greet.submit()  # type: ignore[call-arg]
        await greet.submit("x", 1, 2)  # type: ignore[call-arg]
        await greet.submit(nmae="x")  # type: ignore[call-arg]
        await measure.submit("big")  # type: ignore[arg-type]
        await blocking.submit(path=b"x")  # type: ignore[arg-type]
        await blocking_with_context.submit()  # type: ignore[call-arg]
        await context_without_options.submit(path=1)  # type: ignore[arg-type]
        greet.request(5)  # type: ignore[arg-type]
        greet.options(priorty=5)  # type: ignore[call-arg]
        greet.options(delay="soon")  # type: ignore[arg-type]
        app.task(timeout="long")  # type: ignore[call-overload]

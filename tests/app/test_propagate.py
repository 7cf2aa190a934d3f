"""Context variables of the submitter, seen by the handler."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from sqlalchemy import create_engine, select

from actors import ExecutionMode, Settings, TaskContext, TaskEvent, TaskEventType, TaskRequest, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, PayloadTooLarge
from actors.store import schema
from tests.app.world import collect, refused

HAS_ASYNCIO = sys.version_info < (3, 14)
trace: ContextVar[Any] = ContextVar("trace", default="default")
tenant: ContextVar[Any] = ContextVar("tenant")
private: ContextVar[str] = ContextVar("private", default="unset")


def seen() -> list[Any]:
    return [trace.get(), tenant.get(None), private.get()]


@pytest.fixture
def app(app: TaskSystem) -> TaskSystem:
    """Two variables travel; each type returns what it sees."""
    app.propagate(trace, tenant)

    async def look() -> list[Any]:
        return seen()

    app.register_handler("look", look)
    app.register_handler("look_in_a_thread", seen, mode=ExecutionMode.THREAD)
    if HAS_ASYNCIO:
        app.register_handler("look_in_asyncio", look, mode=ExecutionMode.ASYNCIO)
    return app


def as_submitter(call: Callable[[], Any]) -> Any:
    """Call it where *trace*, *tenant* and *private* are set."""
    trace.set("t-1")
    tenant.set({"id": 7, "tags": ["a", None, 1.5]})
    private.set("mine")
    return call()


@pytest.mark.parametrize("task_type", ["look", "look_in_a_thread", *(["look_in_asyncio"] if HAS_ASYNCIO else [])])
async def test_the_handler_sees_what_the_submitter_has_set_and_nothing_else(app: TaskSystem, task_type: str) -> None:
    async with app.running():
        ticket = await as_submitter(lambda: app.submit(TaskRequest(task_type)))
        assert await ticket.result() == ["t-1", {"id": 7, "tags": ["a", None, 1.5]}, "unset"]
        task = await ticket.task()
        assert (task.metadata, task.input_data) == ({}, {})


async def test_what_is_not_set_where_it_is_submitted_is_not_set_in_the_handler(app: TaskSystem) -> None:
    async with app.running():
        first = await app.submit(TaskRequest("look"))
        assert await first.result() == ["default", None, "unset"]
        tenant.set("late")
        second = await app.submit(TaskRequest("look"))
        assert [await first.result(), await second.result()] == [
            ["default", None, "unset"], ["default", "late", "unset"],
        ]  # fmt: skip


async def test_the_value_is_that_of_the_time_of_the_submit_and_stays_for_every_attempt(app: TaskSystem) -> None:
    values: list[Any] = []

    @app.task(max_retries=1)
    async def fail(ctx: TaskContext) -> None:
        values.append(trace.get())
        trace.set("changed by the handler")
        if ctx.attempt == 1:
            raise ValueError

    async with app.running():
        trace.set("before")
        ticket = await fail.submit()
        trace.set("after")
        await ticket.result()
    assert values == ["before", "before"]


async def test_every_way_that_knows_its_caller_takes_the_callers_values(app: TaskSystem, file_url: str) -> None:
    look = app.register_handler("plain", seen)

    def in_thread() -> list[Any]:
        trace.set("thread")
        return [app.submit_sync(TaskRequest("look"))]

    def in_transaction() -> list[Any]:
        trace.set("transaction")
        with create_engine(file_url).begin() as connection:
            return app.enqueue(connection, [TaskRequest("look")])

    found = []
    async with app.running(database_url=file_url):
        for call in (in_thread, in_transaction):
            found += await trio.to_thread.run_sync(call)
        trace.set("many")
        found += await app.submit_many([TaskRequest("look"), look.request()])
        trace.set("options")
        found.append(await look.options(priority=9).submit())
        trace.set("plain")
        found.append(await look.submit())
        results = [(await ticket.result())[0] for ticket in found]
    assert results == ["thread", "transaction", "many", "many", "options", "plain"]


async def test_a_thread_that_trio_did_not_start_has_a_context_of_its_own(app: TaskSystem) -> None:
    tickets: list[Any] = []
    async with app.running():
        trace.set("loop")
        other = threading.Thread(target=lambda: tickets.append(app.submit_sync(TaskRequest("look"))))
        other.start()
        await trio.to_thread.run_sync(other.join)
        assert (await tickets[0].result())[0] == "default"


@pytest.mark.parametrize("in_thread", [False, True])
async def test_they_go_on_to_children(app: TaskSystem, in_thread: bool) -> None:
    def child(ctx: TaskContext) -> str:
        tenant.set(f"{tenant.get()} of {ctx.task_type}")
        return ctx.submit(TaskRequest("look"))

    async def parent(ctx: TaskContext) -> str:
        return child(ctx)

    app.register_handler("parent", child if in_thread else parent)
    async with app.running():
        trace.set("t-2")
        tenant.set("child")
        ticket = await app.submit(TaskRequest("parent"))
        assert await app.ticket(await ticket.result()).result() == ["t-2", "child of parent", "unset"]


async def test_a_request_by_channel_brings_none_but_what_a_hook_sets_for_it(app: TaskSystem) -> None:
    trace.set("of whoever started the system")

    @app.before_submit
    def from_metadata(request: TaskRequest) -> None:
        if request.metadata:
            tenant.set(request.metadata["tenant"])

    send, receive = trio.open_memory_channel[TaskEvent](9)
    results = []
    async with app.running():
        for metadata in ({"tenant": "by hook"}, None):
            await app.requests().send(TaskRequest("look", metadata=metadata, reply_to=send))
            results.append((await collect(receive, TaskEventType.COMPLETED))[-1].data["result_data"])
    assert results == [["default", "by hook", "unset"], ["default", None, "unset"]]


async def test_hooks_around_the_attempt_see_them(app: TaskSystem) -> None:
    values: list[Any] = []
    app.before_attempt(lambda _: values.append(trace.get()))
    app.after_attempt(lambda _, end: values.append(trace.get()))
    async with app.running():
        trace.set("t-3")
        await (await app.submit(TaskRequest("look"))).result()
    assert values == ["t-3", "t-3"]


async def test_a_node_that_does_not_know_a_variable_passes_it_over(file_url: str) -> None:
    submitter, worker = TaskSystem(file_url), TaskSystem(file_url)
    submitter.propagate(trace, tenant)
    worker.propagate(tenant)
    for system in (submitter, worker):
        system.register_handler("look", seen)
    async with worker.running(), submitter.running(work=False):
        ticket = await as_submitter(lambda: submitter.submit(TaskRequest("look")))
        assert (await ticket.result())[:2] == ["default", {"id": 7, "tags": ["a", None, 1.5]}]


async def test_nothing_is_stored_where_nothing_travels(file_url: str) -> None:
    app = TaskSystem(file_url)
    app.register_handler("look", seen)
    async with app.running():
        await as_submitter(lambda: app.submit(TaskRequest("look")))
    with create_engine(file_url).connect() as connection:
        assert connection.execute(select(schema.task.c.context)).scalars().all() == [None]


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"a": b"bytes"}])
async def test_a_value_that_json_cannot_keep_fails_the_submit(app: TaskSystem, value: Any) -> None:
    async with app.running():
        tenant.set(value)
        with refused(InvalidPayload, "the context variables that travel with a task", "tenant"):
            await app.submit(TaskRequest("look"))
        assert await app.count() == 0


async def test_values_have_the_same_limit_as_a_payload() -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(max_payload_bytes=100))
    app.propagate(trace)
    app.register_handler("look", seen)
    async with app.running():
        trace.set("x" * 100)
        with refused(PayloadTooLarge, "what travels of the context variables is 112 bytes", "TASK_MAX_PAYLOAD_BYTES"):
            await app.submit(TaskRequest("look"))


async def test_what_cannot_travel_is_refused_at_once(app: TaskSystem) -> None:
    with refused(InvalidOption, "propagate got 'trace'", "ContextVar('name')"):
        app.propagate(tenant, "trace")  # type: ignore[arg-type]
    with refused(InvalidOption, "two context variables are named 'trace'"):
        app.propagate(ContextVar("trace"))
    with refused(InvalidOption, "the name of a context variable is ''"):
        app.propagate(ContextVar(""))
    app.propagate(trace)
    async with app.running():
        with refused(InvalidOption, "while the system runs"):
            app.propagate(private)

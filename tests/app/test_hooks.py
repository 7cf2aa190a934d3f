"""Plain functions that are called around submits and attempts."""

from __future__ import annotations

import logging
import sys
import threading
from contextvars import ContextVar
from typing import Any

import attrs
import pytest
import trio
from sqlalchemy import create_engine
from trio.testing import MockClock

import actors
from actors import (
    AttemptEnd,
    Retry,
    Snooze,
    TaskContext,
    TaskEvent,
    TaskEventType,
    TaskRequest,
    TaskStatus,
    TaskSystem,
)
from actors.errors import ActorsError, InvalidOption, NotRunning, UnknownTaskType
from tests.app.world import HOUR, refused

trace: ContextVar[str] = ContextVar("trace", default="none")


class Refused(Exception):
    """What a hook raises."""


@pytest.fixture
def app(app: TaskSystem) -> TaskSystem:
    """With a type that returns what it gets."""

    @app.task
    async def echo(text: str = "") -> str:
        return text

    return app


async def test_before_submit_may_change_a_request_or_leave_it(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.before_submit
    def stamp(request: TaskRequest) -> TaskRequest:
        return attrs.evolve(request, metadata={**(request.metadata or {}), "tenant": "a"})

    seen: list[TaskRequest] = []
    app.before_submit(lambda request: seen.append(request))
    async with app.running():
        ended = await (await app.submit(TaskRequest("echo", {"text": "x"}, metadata={"k": 1}))).wait()
    assert (ended.metadata, ended.result_data) == ({"k": 1, "tenant": "a"}, "x")
    assert [request.metadata for request in seen] == [{"k": 1, "tenant": "a"}]


async def test_every_way_of_submitting_goes_through_before_submit(app: TaskSystem, file_url: str) -> None:
    seen: list[str] = []

    @app.before_submit
    def note(request: TaskRequest) -> None:
        seen.append(f"{request.task_type} {request.input_data}")

    @app.task
    async def plain(number: int = 0) -> None: ...

    @app.task
    def parent(ctx: TaskContext) -> None:
        ctx.submit(TaskRequest("echo", {"text": "child"}))
        app.submit_sync(TaskRequest("echo", {"text": "thread"}))

    send, receive = trio.open_memory_channel[TaskEvent](9)
    async with app.running(database_url=file_url):
        await plain.submit(5)
        await plain.options(key="k").submit()
        await app.submit_many([TaskRequest("echo", {"text": "many"})])
        await app.requests().send(TaskRequest("echo", {"text": "channel"}, reply_to=send))
        await receive.receive()
        await (await parent.submit()).result()
        engine = create_engine(file_url)
        with engine.begin() as connection:
            app.enqueue(connection, [TaskRequest("echo", {"text": "enqueued"})])
        engine.dispose()
    assert seen == [
        "plain {'number': 5}", "plain {}", "echo {'text': 'many'}", "echo {'text': 'channel'}", "parent {}",
        "echo {'text': 'child'}", "echo {'text': 'thread'}", "echo {'text': 'enqueued'}",
    ]  # fmt: skip


async def test_a_submit_that_a_hook_refuses_fails_alone_and_it_is_logged(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.before_submit
    def refuse(request: TaskRequest) -> None:
        if request.input_data.get("text") == "bad":
            raise Refused("no")

    @app.task
    async def parent(ctx: TaskContext) -> str:
        with pytest.raises(Refused):
            ctx.submit(TaskRequest("echo", {"text": "bad"}))
        return ctx.submit(TaskRequest("echo", {"text": "good"}))

    send, receive = trio.open_memory_channel[TaskEvent](9)
    async with app.running():
        with pytest.raises(Refused, match=r"^no$"):
            await app.submit(TaskRequest("echo", {"text": "bad"}))
        with pytest.raises(Refused):
            await app.submit_many([TaskRequest("echo", {"text": "good"}), TaskRequest("echo", {"text": "bad"})])
        await app.requests().send(TaskRequest("echo", {"text": "bad"}, reply_to=send))
        rejected = await receive.receive()
        await app.ticket(await (await parent.submit()).result()).wait()
        assert await app.count() == 2
    assert rejected.type is TaskEventType.REJECTED
    assert rejected.data == {"error": "no", "error_type": "Refused"}
    assert len([record for record in caplog.records if "refused a submit of 'echo'" in record.getMessage()]) == 4


async def test_a_hook_that_exits_refuses_its_submit_and_does_not_end_the_node(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.before_submit
    def leave(request: TaskRequest) -> None:
        if request.input_data.get("text") == "bad":
            sys.exit(3)

    send, receive = trio.open_memory_channel[TaskEvent](9)
    async with app.running():
        await app.requests().send(TaskRequest("echo", {"text": "bad"}, reply_to=send))
        rejected = await receive.receive()
        with pytest.raises(RuntimeError, match=r"before_submit hook .*sys\.exit\(3\)"):
            await app.submit(TaskRequest("echo", {"text": "bad"}))
        assert await (await app.submit(TaskRequest("echo", {"text": "good"}))).result() == "good"
    assert rejected.type is TaskEventType.REJECTED
    assert "sys.exit(3)" in rejected.data["error"]


async def test_ctrl_c_in_a_hook_is_no_refusal(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.before_submit
    def interrupted(request: TaskRequest) -> None:
        raise KeyboardInterrupt

    async with app.running():
        with pytest.raises(KeyboardInterrupt):
            await app.submit(TaskRequest("echo"))


async def test_what_a_hook_gives_is_checked_like_any_request(app: TaskSystem, autojump_clock: MockClock) -> None:
    given: list[Any] = [TaskRequest("ehco"), "echo"]
    app.before_submit(lambda _: given.pop(0))
    async with app.running():
        with refused(UnknownTaskType, "'ehco'", "did you mean 'echo'?"):
            await app.submit(TaskRequest("echo"))
        with refused(InvalidOption, "hook", "'echo'", "TaskRequest or None"):
            await app.submit(TaskRequest("echo"))
        with refused(InvalidOption, "TaskRequest"):
            await app.submit("echo")  # type: ignore[arg-type]
        assert await app.count() == 0


async def test_before_attempt_runs_in_the_attempts_own_context(app: TaskSystem, autojump_clock: MockClock) -> None:
    ended: list[tuple[str, str]] = []

    @app.before_attempt
    def begin(ctx: TaskContext) -> None:
        assert actors.current() is ctx
        assert trace.get() == "none"
        trace.set(f"{ctx.task_type} {ctx.attempt}")

    @app.after_attempt
    def end(ctx: TaskContext, came_to: AttemptEnd) -> None:
        assert actors.current() is ctx
        ended.append((trace.get(), came_to.outcome))

    @app.task
    async def coroutine() -> str:
        return trace.get()

    @app.task
    def thread() -> str:
        return trace.get()

    async with app.running():
        for _ in range(2):
            assert await (await coroutine.submit()).result() == "coroutine 1"
    autojump_clock.autojump_threshold = float("inf")  # it does not know of threads, and would jump past their work
    async with app.running():
        assert await (await thread.submit()).result() == "thread 1"
    assert ended == [("coroutine 1", "completed")] * 2 + [("thread 1", "completed")]


@pytest.mark.parametrize(
    ("error", "status", "retries"),
    [
        (Refused("no"), TaskStatus.FAILED, 1),
        (Snooze(HOUR), TaskStatus.PENDING, 0),
        (SystemExit(3), TaskStatus.FAILED, 1),
    ],
    ids=["error", "snooze", "exit"],
)
async def test_an_attempt_whose_hook_raises_ends_as_if_the_handler_had_raised(
    error: BaseException, status: TaskStatus, retries: int, app: TaskSystem, autojump_clock: MockClock
) -> None:
    ran: list[int] = []

    @app.before_attempt
    def begin(ctx: TaskContext) -> None:
        if ctx.task_type == "work":
            raise error

    @app.task(max_retries=1)
    async def work(ctx: TaskContext) -> None:
        ran.append(ctx.attempt)

    async with app.running():
        ticket = await work.submit()
        assert await (await app.submit(TaskRequest("echo", {"text": "fine"}))).result() == "fine"
        await trio.sleep(HOUR / 2)
        task = await app.get(ticket.task_id)
    assert task is not None
    assert (task.status, task.retry_count, ran) == (status, retries, [])
    if isinstance(error, SystemExit):
        assert task.error_info is not None
        assert task.error_info.message == "a before_attempt hook called sys.exit(3)"


async def test_after_attempt_tells_how_each_attempt_ended(app: TaskSystem, autojump_clock: MockClock) -> None:
    ends: list[tuple[str, int, str, str, str]] = []

    @app.after_attempt
    def end(ctx: TaskContext, came_to: AttemptEnd) -> None:
        info = came_to.error_info.type if came_to.error_info else ""
        ends.append((ctx.task_type, ctx.attempt, came_to.outcome, repr(came_to.error), info))

    @app.task(max_retries=1)
    async def fails(ctx: TaskContext) -> None:
        raise ValueError("no") if ctx.attempt == 1 else Retry()

    @app.task(timeout=1, max_retries=0)
    async def hangs() -> None:
        await trio.sleep_forever()

    @app.task
    async def snoozes(ctx: TaskContext) -> None:
        if ctx.attempt == 1:
            raise Snooze(1)

    @app.task
    async def cancelled() -> None:
        await trio.sleep_forever()

    @app.task
    async def returned(ctx: TaskContext) -> None:
        with ctx.until_stopping():
            await trio.sleep_forever()

    async with app.running():
        for task in (fails, hangs, snoozes):
            await (await task.submit()).wait()
        ticket = await cancelled.submit()
        await trio.sleep(1)
        await ticket.cancel()
        await ticket.wait()
        await returned.submit()
        await trio.sleep(1)
    assert ends == [
        ("fails", 1, "failed", "ValueError('no')", "ValueError"),
        ("fails", 2, "failed", "Retry(None)", "Retry"),
        ("hangs", 1, "timed_out", "None", "TaskTimedOut"),
        ("snoozes", 1, "snoozed", "None", ""),
        ("snoozes", 2, "completed", "None", ""),
        ("cancelled", 1, "cancelled", "None", ""),
        ("returned", 1, "returned", "None", ""),
    ]


async def test_the_outcome_stands_whatever_after_attempt_raises(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []
    app.after_attempt(lambda *_: 1 // 0)
    app.after_attempt(lambda *_: sys.exit(3))
    app.after_attempt(lambda ctx, _: called.append(ctx.task_type))
    async with app.running():
        assert await (await app.submit(TaskRequest("echo", {"text": "x"}))).result() == "x"
    assert called == ["echo"]
    with caplog.at_level(logging.ERROR):
        told = [record for record in caplog.records if "the outcome stands" in record.getMessage()]
    assert len(told) == 2


async def test_what_after_attempt_submits_comes_too_late(app: TaskSystem, autojump_clock: MockClock) -> None:
    faults: list[ActorsError] = []

    @app.after_attempt
    def end(ctx: TaskContext, _: AttemptEnd) -> None:
        try:
            ctx.submit(TaskRequest("echo"))
        except NotRunning as error:
            faults.append(error)

    @app.task(max_retries=0)
    async def fails() -> None:
        raise ValueError

    async with app.running():
        await (await fails.submit()).wait()
        await (await app.submit(TaskRequest("echo"))).wait()
        assert await app.count() == 2
    assert len(faults) == 2


async def test_a_payload_that_no_longer_fits_is_between_the_hooks_too(app: TaskSystem, file_url: str) -> None:
    calls: list[str] = []
    app.before_attempt(lambda ctx: calls.append(f"before {ctx.task_type}"))
    app.after_attempt(lambda ctx, end: calls.append(f"after {end.outcome}"))

    before = TaskSystem(file_url, settings=app.settings)

    @before.task(name="echo")
    async def old(number: int) -> None: ...

    async with before.running(work=False):
        ticket = await old.submit(5)
    async with app.running(database_url=file_url):
        assert (await app.ticket(ticket.task_id).wait()).status is TaskStatus.FAILED
    assert calls == ["before echo", "after failed"]


async def test_a_thread_that_is_left_behind_ends_once_for_the_hooks(app: TaskSystem) -> None:
    ends: list[AttemptEnd] = []
    go, gone = threading.Event(), threading.Event()
    app.after_attempt(lambda _, end: ends.append(end))

    @app.task(timeout=0.05, max_retries=0)
    def stubborn() -> None:
        go.wait(20)
        gone.set()

    async with app.running():
        assert (await (await stubborn.submit()).wait()).status is TaskStatus.TIMEOUT
        go.set()
        await trio.to_thread.run_sync(gone.wait)
        await trio.sleep(0.05)
    assert [end.outcome for end in ends] == ["timed_out"]


async def test_an_attempt_that_nobody_waits_for_any_longer_ends_as_it_was_recorded(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    ends: list[str] = []
    app.after_attempt(lambda _, end: ends.append(end.outcome))

    @app.task
    async def shields() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(HOUR)

    async with app.running():
        await shields.submit()
        await trio.sleep(1)
    await trio.sleep(HOUR)
    assert ends == ["returned"]


@pytest.mark.parametrize("name", ["before_submit", "before_attempt", "after_attempt", "on_event"])
def test_what_is_no_plain_function_is_refused(name: str, app: TaskSystem) -> None:
    async def hook(*_: Any) -> None: ...

    class Called:
        async def __call__(self, *_: Any) -> None: ...

    register = getattr(app, name)
    for wrong in (hook, Called()):
        with refused(InvalidOption, "async", "plain function"):
            register(wrong)
    with refused(InvalidOption, "5", "plain function"):
        register(5)

    def halves(*_: Any) -> Any:
        yield

    with refused(InvalidOption, "generator", "plain function"):
        register(halves)
    assert register(print) is print

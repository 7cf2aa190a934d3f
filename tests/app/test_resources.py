"""What handlers share: opened once before the first attempt, closed after the last."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import ExecutionMode, Settings, TaskContext, TaskSystem
from actors.errors import InvalidOption, SystemFailed, TaskFailed
from actors.system import supervisor
from tests.app.world import refused

region: ContextVar[str] = ContextVar("region", default="none")


@pytest.fixture
def log() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def named(log: list[str]) -> Callable[[str], Callable[[], AbstractAsyncContextManager[str]]]:
    """Makes factories that log when theirs is opened and closed; the value is the name in capitals."""

    @asynccontextmanager
    async def open_one(name: str) -> AsyncIterator[str]:
        log.append(f"{name} opens")
        await trio.lowlevel.checkpoint()
        try:
            yield name.upper()
        finally:
            log.append(f"{name} closes")
            await trio.lowlevel.checkpoint()

    return lambda name: partial(open_one, name)


Named = Callable[[str], Callable[[], AbstractAsyncContextManager[str]]]


async def test_they_are_opened_in_order_before_the_first_attempt_and_closed_in_reverse_after_the_last(
    app: TaskSystem, file_url: str, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))
    app.resource("http", named("http"))

    @app.task
    async def use(ctx: TaskContext) -> list[str]:
        with ctx.until_stopping():
            log.append("attempt")
            await trio.sleep_forever()
        log.append(f"attempt ends with {ctx.resources['http']}")
        return []

    async with app.running(work=False, database_url=file_url):
        await use.submit()
        assert log == []
    started = trio.Event()
    app.before_attempt(lambda _: started.set())
    async with app.running(database_url=file_url):
        await started.wait()
        log.append("stop")
    assert [line for line in log if line != "stop"] == [
        "pool opens", "http opens", "attempt", "attempt ends with HTTP", "http closes", "pool closes",
    ]  # fmt: skip


async def test_they_are_opened_anew_by_each_run(app: TaskSystem, log: list[str], named: Named) -> None:
    app.resource("pool", named("pool"))
    for _ in range(2):
        async with app.running():
            pass
    assert log == ["pool opens", "pool closes"] * 2


class Manager:
    """An async context manager by a class."""

    async def __aenter__(self) -> str:
        return "by class"

    async def __aexit__(self, *_: object) -> None:
        pass


class PlainManager:
    """A plain one that tells in which threads it is entered and left."""

    def __init__(self, threads: list[str]) -> None:
        self._threads = threads

    def __enter__(self) -> str:
        self._threads.append(threading.current_thread().name)
        return "in a thread"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert error is None
        self._threads.append(threading.current_thread().name)


MODES = [ExecutionMode.COROUTINE, ExecutionMode.THREAD, ExecutionMode.ASYNCIO]


@pytest.mark.parametrize("mode", MODES if sys.version_info < (3, 14) else MODES[:2])
async def test_every_kind_of_factory_is_taken_and_every_mode_sees_the_same(
    app: TaskSystem, mode: ExecutionMode
) -> None:
    threads: list[str] = []
    app.resource("class", Manager)
    app.resource("plain", lambda: PlainManager(threads))

    @app.resource("generator")
    def by_generator() -> Iterator[str]:
        threads.append(threading.current_thread().name)
        yield "by generator"

    @app.resource("async generator")
    async def by_async_generator() -> AsyncIterator[str]:
        yield "by async generator"

    @app.resource("decorated")
    @contextmanager
    def decorated() -> Iterator[str]:
        yield "decorated"

    def look(ctx: TaskContext) -> dict[str, Any]:
        return dict(ctx.resources)

    async def look_async(ctx: TaskContext) -> dict[str, Any]:
        return look(ctx)

    app.register_handler("look", look if mode is ExecutionMode.THREAD else look_async, mode=mode)
    async with app.running():
        ticket = await app.submit(app.declared("look").request((), {}))
        assert await ticket.result() == {
            "class": "by class", "plain": "in a thread", "generator": "by generator",
            "async generator": "by async generator", "decorated": "decorated",
        }  # fmt: skip
    assert len(threads) == 3
    assert threading.current_thread().name not in threads
    assert next(by_generator()) == "by generator"  # the decorator gives the function back as it was


async def test_the_mapping_is_read_only_and_a_wrong_name_fails_the_attempt_with_a_hint(
    app: TaskSystem, named: Named
) -> None:
    app.resource("http", named("http"))
    kept: list[Mapping[str, Any]] = []

    @app.task(max_retries=0)
    async def misspell(ctx: TaskContext) -> str:
        kept.append(ctx.resources)
        return str(ctx.resources["htpp"])

    async with app.running():
        with pytest.raises(TaskFailed, match=r"no resource is named 'htpp'; did you mean 'http'\?"):
            await (await misspell.submit()).result()
        assert (len(kept[0]), list(kept[0]), repr(kept[0])) == (1, ["http"], "<Resources http>")
        with pytest.raises(TypeError):
            kept[0]["more"] = 1  # type: ignore[index]


async def test_they_see_the_context_variables_of_whoever_runs_the_system(app: TaskSystem) -> None:
    seen: list[str] = []

    @app.resource("look")
    async def look() -> AsyncIterator[None]:
        seen.append(region.get())
        yield

    region.set("north")
    async with app.running():
        pass
    assert seen == ["north"]


async def test_a_plain_one_may_reset_a_context_variable_that_it_has_set(
    app: TaskSystem, caplog: pytest.LogCaptureFixture
) -> None:
    @app.resource("look")
    def look() -> Iterator[None]:
        token = region.set("in the resource")
        yield
        region.reset(token)

    async with app.running():
        assert region.get() == "none"
    assert caplog.text == ""


async def test_one_that_cannot_be_opened_fails_the_start_and_what_was_opened_is_closed(
    app: TaskSystem, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))

    @app.resource("http")
    async def broken() -> AsyncIterator[None]:
        if "repaired" not in log:
            raise OSError("no route to host")
        yield

    app.resource("late", named("late"))
    with refused(SystemFailed, "the resource 'http' could not be opened: OSError: no route to host"):
        async with app.running():
            log.append("runs")
    assert log == ["pool opens", "pool closes"]
    assert not app.is_running
    log[:] = ["repaired"]
    async with app.running():
        log.append("runs")
    assert log == ["repaired", "pool opens", "late opens", "runs", "late closes", "pool closes"]


async def test_a_factory_that_gives_no_context_manager_fails_the_start(app: TaskSystem) -> None:
    app.resource("http", lambda: 5)  # type: ignore[type-var]
    with refused(InvalidOption, "resource 'http': its factory gave 5", "a context manager"):
        async with app.running():
            pass


async def test_they_are_closed_when_the_block_raises_and_its_error_leaves_as_it_is(
    app: TaskSystem, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))
    with pytest.raises(ValueError, match="mine"):
        async with app.running():
            raise ValueError("mine")
    assert log == ["pool opens", "pool closes"]


async def test_attempts_have_them_for_their_grace_time_though_the_block_was_cancelled(
    app: TaskSystem, autojump_clock: MockClock, log: list[str], named: Named
) -> None:
    @app.resource("pool")
    async def with_nursery() -> AsyncIterator[trio.MemorySendChannel[str]]:
        send, receive = trio.open_memory_channel[str](0)
        async with trio.open_nursery() as nursery, send:
            nursery.start_soon(serve, receive)
            yield send

    async def serve(receive: trio.MemoryReceiveChannel[str]) -> None:
        async for word in receive:
            log.append(word)

    @app.task
    async def use(ctx: TaskContext) -> None:
        with ctx.until_stopping():
            await trio.sleep_forever()
        await trio.sleep(5)
        await ctx.resources["pool"].send("still served")

    with trio.CancelScope() as scope:
        async with app.running():
            await use.submit()
            await trio.sleep(1)
            scope.cancel()
    assert log == ["still served"]


async def test_one_that_does_not_close_is_named_and_leaving_has_its_bound(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))
    unblock = trio.Event()

    @app.resource("http")
    async def stubborn() -> AsyncIterator[None]:
        yield
        with trio.CancelScope(shield=True):
            await unblock.wait()

    app.resource("late", named("late"))
    with caplog.at_level(logging.WARNING):
        async with app.running():
            begun = trio.current_time()
    assert trio.current_time() - begun == pytest.approx(14.5)
    assert "these resources did not close in time, and are left behind: 'http', 'pool'" in caplog.text
    unblock.set()
    await trio.testing.wait_all_tasks_blocked()
    assert log == ["pool opens", "late opens", "late closes", "pool closes"]


async def test_one_that_waits_when_it_closes_is_cancelled_in_time(
    app: TaskSystem, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    @app.resource("http")
    async def slow() -> AsyncIterator[None]:
        yield
        try:
            await trio.sleep_forever()
        finally:
            log.append("cancelled")

    async with app.running():
        begun = trio.current_time()
    assert trio.current_time() - begun == pytest.approx(14.25)
    assert log == ["cancelled"]
    assert caplog.text == ""


async def test_a_thread_that_does_not_leave_is_left_behind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "CLOSE_WITHIN", 0.1)
    app, unblock, left = TaskSystem("sqlite:///:memory:"), threading.Event(), threading.Event()

    @app.resource("pool")
    def stubborn() -> Iterator[None]:
        yield
        unblock.wait()
        left.set()

    async with app.running():
        app.running_node.grace = 0
    assert "left behind: 'pool'" in caplog.text
    unblock.set()
    await trio.to_thread.run_sync(left.wait)


def test_an_interrupt_while_they_close_leaves_them_no_more_time(log: list[str], named: Named) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(grace_seconds=60))
    app.resource("pool", named("pool"))

    @app.resource("http")
    async def slow() -> AsyncIterator[None]:
        yield
        signal.raise_signal(signal.SIGINT)
        try:
            await trio.sleep_forever()
        finally:
            log.append("cancelled")

    async def main() -> None:
        async with app.running():
            pass

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert log == ["pool opens", "cancelled", "pool closes"]


async def test_one_that_raises_when_it_closes_is_logged_and_the_others_are_closed(
    app: TaskSystem, caplog: pytest.LogCaptureFixture, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))

    @app.resource("http")
    async def breaks() -> AsyncIterator[None]:
        yield
        raise OSError("connection lost")

    async with app.running():
        pass
    assert log == ["pool opens", "pool closes"]
    assert "the resource 'http' raised while it was closed: OSError: connection lost" in caplog.text


async def run(app: TaskSystem, event: trio.Event | None = None) -> None:
    """Run until cancelled; *event* is set when it runs."""
    async with app.running():
        if event is not None:
            event.set()
        await trio.Event().wait()


@pytest.mark.parametrize("kind", [OSError, SystemExit])
async def test_one_that_fails_in_use_ends_the_block_with_its_error(
    app: TaskSystem, log: list[str], named: Named, kind: type[BaseException]
) -> None:
    app.resource("pool", named("pool"))
    fail = trio.Event()

    @app.resource("http")
    async def breaks() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(later)
            yield

    async def later() -> None:
        await fail.wait()
        raise kind("connection lost")

    app.resource("late", named("late"))
    with pytest.raises(SystemFailed, match="the resource 'http' failed while it was in use") as caught:
        await run(app, fail)
    cause = caught.value.__cause__
    assert isinstance(cause, BaseExceptionGroup)
    assert isinstance(cause.exceptions[0], kind)
    assert log == ["pool opens", "late opens", "late closes", "pool closes"]


async def test_one_that_ends_by_itself_ends_the_block_too(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.resource("http")
    async def short() -> AsyncIterator[None]:
        with trio.move_on_after(60):
            yield

    with refused(SystemFailed, "the resource 'http' ended by itself while it was in use"):
        await run(app)
    assert trio.current_time() < 70


async def test_a_start_that_is_cancelled_closes_what_it_has_opened(
    app: TaskSystem, autojump_clock: MockClock, log: list[str], named: Named
) -> None:
    app.resource("pool", named("pool"))

    @app.resource("http")
    async def hangs() -> AsyncIterator[None]:
        await trio.Event().wait()
        yield

    with trio.move_on_after(5):
        await run(app)
    assert log == ["pool opens", "pool closes"]


async def nothing() -> None:
    """Async, and yields nothing."""


def needs(argument: int) -> Manager:
    """Wants an argument."""
    return Manager()


@pytest.mark.parametrize(
    ("name", "factory", "words"),
    [
        ("http", 5, ("resource 'http' is 5", "a function without arguments")),
        ("http", nothing, ("is async and yields nothing",)),
        ("http", needs, ("missing a required argument: 'argument'",)),
        ("", Manager, ("the name of a resource is ''",)),
        ("pool", Manager, ("a resource named 'pool' is declared already",)),
    ],
)
async def test_what_cannot_be_a_resource_is_refused_at_once(
    app: TaskSystem, name: str, factory: Any, words: tuple[str, ...]
) -> None:
    app.resource("pool", Manager)
    with refused(InvalidOption, *words):
        app.resource(name, factory)
    async with app.running():
        with refused(InvalidOption, "the resource 'late' is declared while the system runs"):
            app.resource("late", Manager)

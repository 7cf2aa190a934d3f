"""What users, disks and other processes do to a whole task system, and what it still keeps to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import Settings, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.errors import NotRunning, SystemFailed
from actors.system.monitor import Monitor
from actors.system.storage import Storage
from actors.system.worker import Worker
from tests.mute import BadNotes, Mute, MuteError
from tests.waiting import until
from tests.whole.table import File

GRACE = 0.5
LEAVING = 5.0
"""Seconds past the grace time within which the block of `running` is left, whatever comes."""
MEMORY = "sqlite:///:memory:"


def deep_group(depth: int = 2000) -> Exception:
    """Groups in groups, past what recursion can walk."""
    error: Exception = ValueError("innermost")
    for _ in range(depth):
        error = ExceptionGroup("one of many", [error])
    return error


FAULTS: dict[str, Callable[[], BaseException]] = {
    "generator-exit": GeneratorExit,
    "mute": MuteError,
    "mute-exit": lambda: SystemExit(cast(Any, Mute())),
    "bad-notes": lambda: BadNotes("noted"),
    "deep-group": deep_group,
    "syntax-error": lambda: SyntaxError("x", ("f", 1, 1, cast(Any, 5))),
}


@pytest.mark.parametrize("mode", ["coroutine", "thread"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_whatever_a_handler_raises_fails_its_task_alone(
    fault: Callable[[], BaseException], mode: str, autojump_clock: MockClock
) -> None:
    def bad() -> NoReturn:
        raise fault()

    async def as_coroutine() -> NoReturn:
        bad()

    app = TaskSystem(MEMORY, settings=Settings())
    function: Callable[..., Any] = as_coroutine if mode == "coroutine" else bad
    broken = app.register_handler("broken", function, max_retries=0, timeout=None)

    @app.task
    async def sound() -> str:
        return "sound"

    async with app.running():
        ended = await (await broken.submit()).wait()
        assert ended.status is TaskStatus.FAILED
        assert await (await sound.submit()).result() == "sound"
        assert app.metrics().running_tasks == 0
        assert [child.name for child in app.tree() if child.restarts] == []


async def test_a_call_of_sys_exit_with_something_that_cannot_be_shown_is_survived(autojump_clock: MockClock) -> None:
    app = TaskSystem(MEMORY, settings=Settings())

    @app.task(max_retries=1)
    async def leaver(ctx: TaskContext) -> str:
        if ctx.attempt == 1:
            sys.exit(cast(Any, Mute()))
        return "stayed"

    async with app.running():
        assert await (await leaver.submit()).result() == "stayed"


class Deaf:
    """Coroutines that shield themselves from the stop, in as many lanes as there are names.

    Attributes:
        go: lets them end.
    """

    def __init__(self, url: str, grace: float, *lanes: str) -> None:
        self.app = TaskSystem(url, settings=Settings(grace_seconds=grace, lanes=dict.fromkeys(lanes, 2)))
        self.go = trio.Event()
        self.running = 0
        self._types = [self.app.register_handler(f"in-{lane}", self._run, lane=lane, timeout=None) for lane in lanes]

    async def _run(self) -> None:
        self.running += 1
        try:
            with trio.CancelScope(shield=True):
                await self.go.wait()
        finally:
            self.running -= 1

    async def fill(self) -> None:
        """Have one run in each lane."""
        for each in self._types:
            await each.submit()
        await until(lambda: self.running == len(self._types))


LANES = ("first", "second", "third", "fourth")


async def test_four_lanes_that_ignore_the_stop_are_left_as_fast_as_one(autojump_clock: MockClock) -> None:
    deaf = Deaf(MEMORY, GRACE, *LANES)
    async with deaf.app.running():
        await deaf.fill()
        leaving = trio.current_time()
    assert GRACE <= trio.current_time() - leaving < GRACE + LEAVING
    assert deaf.running == len(LANES)
    deaf.go.set()


@pytest.mark.parametrize("lanes", [(), LANES[:1], LANES], ids=["idle", "one deaf lane", "four deaf lanes"])
async def test_a_locked_database_holds_up_the_leaving_no_longer_than_promised(
    lanes: tuple[str, ...], tmp_path: Path
) -> None:
    file, grace = File(tmp_path / "tasks.db"), 0.2
    deaf = Deaf(file.url, grace, *lanes)
    async with deaf.app.running():
        await deaf.fill()
        lock = file.locked()
        lock.__enter__()
        leaving = time.monotonic()
    took = time.monotonic() - leaving
    lock.__exit__(None, None, None)
    deaf.go.set()
    await wait_all_tasks_blocked()
    assert took <= grace + LEAVING


async def test_a_grace_time_that_is_longer_than_the_settings_is_waited_for(autojump_clock: MockClock) -> None:
    app = TaskSystem(MEMORY, settings=Settings(grace_seconds=1.0))
    told: list[TaskEventType] = []
    app.on_event(lambda event: told.append(event.type))
    started = trio.Event()

    @app.task(timeout=None)
    async def long(ctx: TaskContext) -> str:
        started.set()
        await trio.sleep(50)
        return str(ctx.stopping)

    async with trio.open_nursery() as nursery:
        await nursery.start(app.serve)
        await long.submit()
        await started.wait()
        leaving = trio.current_time()
        app.stop(grace=60)
    assert trio.current_time() - leaving == pytest.approx(50)
    assert told[-1] is TaskEventType.COMPLETED


class Wreck:
    """A task system that does not stop in order, and a task that would run for ever."""

    def __init__(self) -> None:
        self.app = TaskSystem(MEMORY, settings=Settings(grace_seconds=GRACE))
        self.begun = trio.Event()
        self.begins = self.ends = 0
        self.rest = self.app.register_handler("rest", self._rest, timeout=None)

    async def _rest(self) -> None:
        self.begun.set()
        self.begins += 1
        try:
            await trio.sleep_forever()
        finally:
            self.ends += 1

    async def run_until_it_sinks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a task run, and then its Worker crash at each message, until the tree allows no more restarts."""

        async def crash(*_: object) -> None:
            raise RuntimeError("a bug")

        async with self.app.running():
            await self.rest.submit()
            await self.begun.wait()
            monkeypatch.setattr(Worker, "receive", crash)
            for _ in range(10):
                await self.rest.submit()
                await trio.sleep(0.5)


async def test_after_the_tree_has_failed_no_handler_runs_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wreck = Wreck()
    with pytest.raises(SystemFailed):
        await wreck.run_until_it_sinks(monkeypatch)
    assert wreck.ends == wreck.begins > 0


async def test_who_waits_or_listens_hears_of_the_end_though_those_who_tell_were_cut_off(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: object) -> None:
        await trio.sleep_forever()

    for actor in (Storage, Monitor):
        monkeypatch.setattr(actor, "stopped", hang)  # so that it is cut off
    wreck, heard = Wreck(), list[str]()

    async def wait(ticket: Any) -> None:
        with pytest.raises(NotRunning):
            await ticket.wait()
        heard.append("no end will come")

    async def listen(events: trio.MemoryReceiveChannel[Any]) -> None:
        async for _ in events:
            pass
        heard.append("no event will come")

    with ExitStack() as stack:  # the subscription outlives the system
        async with trio.open_nursery() as nursery, wreck.app.running():
            events = stack.enter_context(wreck.app.running_node.subscribe(None, None))
            nursery.start_soon(wait, await wreck.rest.submit())
            nursery.start_soon(listen, events)
            await wreck.begun.wait()
            await wait_all_tasks_blocked()
    assert sorted(heard) == ["no end will come", "no event will come"]

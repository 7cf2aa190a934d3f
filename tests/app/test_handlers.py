"""Handlers that are declared apart from a system."""

from __future__ import annotations

import gc

import pytest
from trio.testing import MockClock

from actors import DeclaredTask, Handlers, Settings, TaskContext, TaskRequest, TaskStatus, TaskSystem
from actors.errors import DuplicateTaskType, InvalidOption, NotRunning, UnknownTaskType
from tests.app.world import refused


def other_system() -> TaskSystem:
    return TaskSystem("sqlite:///:memory:", settings=Settings())


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def greet(handlers: Handlers) -> DeclaredTask[[str], str]:
    @handlers.task(max_retries=2, lane="single")
    async def greet(ctx: TaskContext, name: str) -> str:
        """Say hello."""
        return f"{ctx.task_type}: hello {name}"

    return greet


async def test_what_is_declared_apart_runs_on_the_system_that_includes_it(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    app.include(handlers)
    async with app.running():
        assert await (await greet.submit("trio")).result() == "greet: hello trio"
        ended = await (await greet.options(priority=20).submit("you")).wait()
        assert (ended.priority, ended.max_retries, ended.lane) == (20, 2, "single")
        assert await (await app.submit(greet.request("me"))).result() == "greet: hello me"


async def test_a_prefix_goes_before_each_name(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    assert greet.task_type == "greet"
    app.include(handlers, prefix="mail.")
    assert greet.task_type == "mail.greet"
    async with app.running():
        assert await (await greet.submit("trio")).result() == "mail.greet: hello trio"
        assert greet.request("you").task_type == "mail.greet"
        with refused(UnknownTaskType, "'greet'", "did you mean 'mail.greet'?"):
            await app.submit(TaskRequest("greet", {"name": "x"}))


async def test_what_is_declared_after_it_was_included_is_included_too(
    app: TaskSystem, handlers: Handlers, autojump_clock: MockClock
) -> None:
    app.include(handlers, prefix="late.")

    @handlers.task
    def thread(number: int) -> int:
        return number + 1

    async with app.running():
        assert await (await thread.submit(1)).result() == 2
        with refused(InvalidOption, "'late.another'", "while the system runs"):
            handlers.register_handler("another", lambda: None)
        with refused(InvalidOption, "while the system runs"):
            app.include(Handlers())


def test_a_declared_task_is_still_the_plain_function(handlers: Handlers) -> None:
    @handlers.task(name="sum")
    def add(a: int, b: int = 2) -> int:
        """The sum."""
        return a + b

    assert (add(1), add.__name__, add.__doc__, add.task_type) == (3, "add", "The sum.", "sum")


async def test_handlers_that_no_system_includes_say_so(
    app: TaskSystem, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    async with app.running():
        for attempt in (greet.submit, greet.options(key="k").submit):
            with refused(InvalidOption, "'greet'", "app.include("):
                await attempt("trio")
    with refused(InvalidOption, "app.include("):
        greet.request("trio")


async def test_one_system_that_does_not_run_says_that_it_does_not(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    app.include(handlers)
    with refused(NotRunning, "app.running()"):
        await greet.submit("trio")
    assert greet.request("trio") == TaskRequest("greet", {"name": "trio"})


async def test_of_several_systems_the_one_that_runs_gets_the_task(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    other = other_system()
    app.include(handlers, prefix="a.")
    other.include(handlers, prefix="b.")
    with refused(NotRunning, "'greet'", "2 systems"):
        await greet.submit("trio")
    for system, prefix in ((app, "a."), (other, "b.")):
        async with system.running():
            assert await (await greet.submit("trio")).result() == f"{prefix}greet: hello trio"
            assert greet.task_type == f"{prefix}greet"
    async with app.running(), other.running():
        with refused(InvalidOption, "'greet'", "2 running systems", "TaskRequest"):
            await greet.submit("trio")
        assert greet.task_type == "greet"
        ended = await (await other.submit(TaskRequest("b.greet", {"name": "x"}))).wait()
        assert ended.status is TaskStatus.COMPLETED


def test_a_system_that_is_gone_is_forgotten(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str]
) -> None:
    other_system().include(handlers, prefix="gone.")
    gc.collect()
    app.include(handlers)
    assert greet.request("x").task_type == "greet"


async def test_each_system_configures_its_own(
    app: TaskSystem, handlers: Handlers, greet: DeclaredTask[[str], str], autojump_clock: MockClock
) -> None:
    other = other_system()
    for system in (app, other):
        system.include(handlers)
    app.configure("greet", max_retries=7)
    for system, retries in ((app, 7), (other, 2)):
        async with system.running():
            assert (await (await greet.submit("x")).wait()).max_retries == retries


def test_a_name_that_is_taken_is_refused_and_nothing_is_included(app: TaskSystem, handlers: Handlers) -> None:
    for name in ("first", "second"):
        handlers.register_handler(name, lambda: None)
    app.register_handler("second", lambda: None)
    with refused(DuplicateTaskType, "'second'"):
        app.include(handlers)
    app.register_handler("first", lambda: None)
    app.include(handlers, prefix="x.")
    with refused(DuplicateTaskType, "'second'"):
        handlers.register_handler("second", lambda: None)
    app.register_handler("x.third", lambda: None)
    with refused(DuplicateTaskType, "'x.third'"):
        handlers.register_handler("third", lambda: None)


async def test_what_one_system_cannot_take_is_declared_nowhere(app: TaskSystem, handlers: Handlers) -> None:
    other = other_system()
    for system in (app, other):
        system.include(handlers)
    other.register_handler("taken", lambda: None)
    with refused(DuplicateTaskType, "'taken'"):
        handlers.register_handler("taken", lambda: None)
    async with other.running():
        with refused(InvalidOption, "'late'", "runs"):
            handlers.register_handler("late", lambda: None)
    assert app.task_types == []
    handlers.register_handler("late", lambda: None)
    assert (app.task_types, other.task_types) == (["late"], ["late", "taken"])


def test_what_cannot_be_included_is_refused(app: TaskSystem, handlers: Handlers) -> None:
    handlers.register_handler("work", lambda: None)
    app.include(handlers, prefix="a.")
    with refused(InvalidOption, "included already", "'a.'"):
        app.include(handlers)
    with refused(InvalidOption, "Handlers"):
        app.include("handlers")  # type: ignore[arg-type]
    with refused(InvalidOption, "task name", "text"):
        other_system().include(handlers, prefix="line\n")
    with refused(InvalidOption, "prefix"):
        other_system().include(handlers, prefix=5)  # type: ignore[arg-type]


def test_options_that_cannot_work_are_refused_at_the_declaration(handlers: Handlers) -> None:
    with refused(InvalidOption, "priority", "101"):
        handlers.task(priority=101)(lambda: None)
    with refused(InvalidOption, "'max_retrys'", "did you mean 'max_retries'?"):
        handlers.register_handler("work", lambda: None, max_retrys=3)  # type: ignore[call-arg]

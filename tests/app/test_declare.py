"""What may be declared, and how a refusal reads."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import pytest
from trio.testing import MockClock

from actors import ExecutionMode, RetryPolicy, RetryStrategy, Settings, TaskContext, TaskSystem
from actors.errors import ActorsError, DuplicateTaskType, InvalidOption, ModeUnavailable
from tests.app.world import HOUR, refused


async def work() -> None:
    """A handler to declare."""


def plain_work() -> None:
    """A handler for threads."""


async def test_a_declared_task_is_still_the_plain_function(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def double(number: int) -> int:
        """Twice as much."""
        return 2 * number

    assert await double(21) == 42
    assert double.__name__ == "double"
    assert inspect.getdoc(double) == "Twice as much."


async def test_async_def_goes_to_the_coroutine_lane_and_def_to_the_thread_lane(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    later = {
        ExecutionMode.COROUTINE: app.register_handler("work", work).options(delay=HOUR),
        ExecutionMode.THREAD: app.register_handler("plain", plain_work).options(delay=HOUR),
    }
    async with app.running():
        for mode, declared in later.items():
            ticket = await declared.submit()
            task = await app.get(ticket.task_id)
            assert task is not None
            assert (task.mode, task.lane) == (mode, mode.value)


async def test_the_name_may_differ_from_the_functions(app: TaskSystem, autojump_clock: MockClock) -> None:
    named = app.task(name="mail.send")(work)
    async with app.running():
        ended = await (await named.submit()).wait()
    assert ended.task_type == "mail.send"


async def test_a_first_parameter_annotated_as_context_is_not_part_of_the_payload(
    app: TaskSystem, autojump_clock: MockClock
) -> None:
    @app.task
    async def attempt_of(ctx: TaskContext, label: str) -> str:
        return f"{label} {ctx.attempt}"

    async with app.running():
        ticket = await attempt_of.submit("first")
        assert await ticket.result() == "first 1"
        assert (await ticket.wait()).input_data == {"label": "first"}


def test_a_second_handler_of_one_name_is_refused(app: TaskSystem) -> None:
    app.register_handler("mail.send", work)
    with refused(DuplicateTaskType, "'mail.send'", "another name"):
        app.register_handler("mail.send", plain_work)


@pytest.mark.parametrize(
    ("option", "value", "should"),
    [
        ("timeout", 0, "more than 0"),
        ("timeout", -1.5, "more than 0"),
        ("timeout", math.nan, "number of seconds"),
        ("timeout", "30", "number of seconds"),
        ("timeout", True, "number of seconds"),
        ("soft_timeout", 0, "more than 0"),
        ("soft_timeout", -3, "more than 0"),
        ("max_retries", -1, "whole number"),
        ("max_retries", 1.5, "whole number"),
        ("priority", 101, "from 0 to 100"),
        ("priority", -1, "from 0 to 100"),
        ("priority", "high", "from 0 to 100"),
        ("max_concurrency", 0, "from 1"),
        ("lane", "", "text"),
        ("lane", "two\nlines", "text"),
        ("retry", 3, "RetryPolicy"),
        ("mode", "thread", "ExecutionMode"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_its_name_and_value(
    app: TaskSystem, option: str, value: Any, should: str
) -> None:
    given: dict[str, Any] = {option: value}
    with refused(InvalidOption, option, repr(value), should):
        app.register_handler("work", work, **given)
    app.register_handler("work", work)


def test_a_soft_limit_has_to_be_below_the_hard_one(app: TaskSystem) -> None:
    with refused(InvalidOption, "soft_timeout", "30", "20"):
        app.register_handler("work", work, timeout=20, soft_timeout=30)


def test_a_misspelt_option_gets_a_suggestion(app: TaskSystem) -> None:
    with refused(InvalidOption, "'max_retrys'", "did you mean 'max_retries'?"):
        app.register_handler("work", work, max_retrys=3)  # type: ignore[call-arg]


def test_a_coroutine_function_cannot_be_declared_for_threads(app: TaskSystem) -> None:
    with refused(InvalidOption, "'work'", "async def", "thread"):
        app.register_handler("work", work, mode=ExecutionMode.THREAD)
    with refused(InvalidOption, "'plain'", "coroutine"):
        app.register_handler("plain", plain_work, mode=ExecutionMode.COROUTINE)


@pytest.mark.parametrize("lane", ["nowhere", "singel"])
def test_a_lane_of_the_declarations_own_is_made_with_it(app: TaskSystem, lane: str) -> None:
    app.register_handler("work", work, lane=lane)


@pytest.mark.parametrize("annotation", [type, complex])
def test_a_parameter_that_cannot_be_stored_is_refused_at_the_declaration(app: TaskSystem, annotation: type) -> None:
    async def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = annotation
    with refused(InvalidOption, "'handler'", "value", annotation.__name__):
        app.register_handler("handler", handler)


@pytest.mark.parametrize("name", ["", "with\ncontrol\x1b[31m", "x" * 1000])
def test_a_task_name_that_no_terminal_could_show_is_refused(app: TaskSystem, name: str) -> None:
    with refused(InvalidOption, "name", "text"):
        app.register_handler(name, work)


async def test_without_trio_asyncio_the_declaration_is_refused_and_everything_else_works(
    app: TaskSystem, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trio_asyncio", None)

    @app.task
    async def coroutine() -> str:
        return "ran"

    async def handler() -> None:
        raise AssertionError

    with refused(ModeUnavailable, "'handler'", "trio-asyncio", "Python 3.14"):
        app.task(mode=ExecutionMode.ASYNCIO)(handler)
    async with app.running():
        assert await (await coroutine.submit()).result() == "ran"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_retries": -1}, ("max_retries", "-1")),
        ({"base_delay": -1.0}, ("base_delay", "-1.0", "seconds")),
        ({"max_delay": math.inf}, ("max_delay", "inf")),
        ({"multiplier": 0.5}, ("multiplier", "0.5")),
        ({"strategy": "fixed"}, ("strategy", "'fixed'", "RetryStrategy")),
        ({"strategy": RetryStrategy.CUSTOM}, ("CUSTOM", "delay_for")),
        ({"delay_for": float}, ("CUSTOM", "delay_for")),
        ({"retry_on": ("ValueError",)}, ("retry_on", "exception classes")),
        ({"jitter": 1}, ("jitter", "1")),
    ],
)
def test_a_retry_policy_that_cannot_work_is_refused(given: dict[str, Any], words: tuple[str, ...]) -> None:
    with refused(InvalidOption, *words):
        RetryPolicy(**given)


def test_the_presets_are_policies() -> None:
    assert RetryPolicy.network().max_retries > RetryPolicy.cpu().max_retries > RetryPolicy.none().max_retries == 0


def test_every_error_is_an_actors_error() -> None:
    assert issubclass(DuplicateTaskType, ActorsError)
    assert issubclass(InvalidOption, ActorsError)


def test_a_database_url_of_an_unknown_kind_is_refused_when_it_runs(settings: Settings) -> None:
    import trio

    async def enter() -> None:
        async with TaskSystem("oracle://scott:tiger@db/x", settings=settings).running():
            pytest.fail("it runs")

    with pytest.raises(ActorsError) as caught:
        trio.run(enter)
    assert "tiger" not in str(caught.value)
    assert "oracle" in str(caught.value)


def test_a_system_tells_what_it_declares_and_where_it_would_run(file_url: str) -> None:
    app = TaskSystem(
        file_url, settings=Settings(lanes={"reports": 2}, max_coroutines=7, max_io_workers=3, max_cpu_workers=2)
    )
    app.register_handler("b", plain_work)
    app.register_handler("a", plain_work, lane="reports")
    assert app.task_types == ["a", "b"]
    assert app.lanes == {"coroutine": 7, "asyncio": 7, "thread": 3, "process": 2, "reports": 2}
    assert app.database_url == file_url

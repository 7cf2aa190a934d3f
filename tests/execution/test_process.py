"""What handlers in processes can do and say, and what it comes to. The children are real."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors import Abort, Retry, RetryPolicy, Snooze
from actors.core.errors import InvalidOption, InvalidPayload
from actors.core.outcome import Finished
from actors.core.remote import RemoteError
from actors.core.request import NewTask, TaskRequest
from tests.execution import process_handlers as handlers
from tests.execution.processes import in_process, processes
from tests.waiting import until


async def test_a_handler_runs_in_a_process_of_its_own_and_finds_its_arguments_decoded() -> None:
    async with processes() as run:
        assert await run.result(handlers.double, number=21) == 42
        assert await run.result(handlers.day_after, day="2026-01-02T03:04:05") == "after Friday"
        assert await run.result(handlers.who) not in (os.getpid(), os.getppid())


async def test_a_child_imports_what_it_needs_and_no_more() -> None:
    async with processes() as run:
        loaded = set(await run.result(handlers.modules))
    assert {"actors.app", "tests.execution.process_handlers"} - loaded == {"actors.app"}
    assert not loaded & {"trio", "sqlalchemy", "asyncio", "psutil", "click", "actors.system", "actors.store"}


async def test_a_child_has_a_session_of_its_own_nothing_to_read_and_the_nodes_path() -> None:
    async with processes() as run:
        found = await run.result(handlers.surroundings)
    assert found == {"stdin": "", "session": True, "group": True, "path": sys.path}


@pytest.mark.parametrize(
    ("function", "result"),
    [(handlers.wrapped, [3]), (handlers.Grouped.static, 4), (handlers.Grouped.of_class, "Grouped 3")],
    ids=["decorated", "static", "of-a-class"],
)
async def test_whatever_a_name_leads_to_can_be_called(function: Any, result: Any) -> None:
    async with processes({"work": in_process(function, "work")}) as run:
        assert await run.result(function, number=3) == result


async def test_an_error_is_kept_with_its_type_message_and_traceback() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.raise_own)
    assert (outcome.info.type, outcome.info.message, outcome.info.attempt) == ("OwnError", "broken (7)", 1)
    assert "in raise_own" in outcome.info.traceback
    assert not outcome.final


@pytest.mark.parametrize(
    ("policy", "taken"),
    [
        (RetryPolicy(), True),
        (RetryPolicy(retry_on=handlers.OwnError), True),
        (RetryPolicy(retry_on=OSError), True),
        (RetryPolicy(retry_on=ValueError), False),
        (RetryPolicy(never_on=ConnectionError), False),
        (RetryPolicy(retry_on=OSError, never_on=handlers.OwnError), False),
    ],
)
async def test_a_policy_knows_an_error_of_another_process_by_its_classes(policy: RetryPolicy, taken: bool) -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.raise_own)
    assert isinstance(outcome.error, RemoteError)
    assert policy.takes(outcome.error) is taken


@pytest.mark.parametrize("word", ["retry", "snooze", "abort"])
async def test_control_exceptions_arrive_as_such(word: str) -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.raise_word, word=word)
    assert outcome.info.traceback == ""
    match outcome.error:
        case Retry(after=after):
            assert (word, after) == ("retry", 3)
        case Snooze(seconds=seconds):
            assert (word, seconds) == ("snooze", 4)
        case Abort(reason=reason):
            assert (word, reason) == ("abort", "useless")
        case _:
            pytest.fail(repr(outcome.error))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "the handler called sys.exit(3)"),
        ("interrupt", "the handler raised KeyboardInterrupt, which is no Exception"),
        ("eof", ""),
    ],
)
async def test_what_would_end_the_child_fails_its_own_attempt_alone(how: str, words: str) -> None:
    async with processes() as run:
        child = await run.result(handlers.who)
        outcome = await run.raised(handlers.leave, how=how)
        assert await run.result(handlers.who) == child
    assert outcome.info.message == words


async def test_a_group_stands_for_its_first_error_and_the_others_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.raise_group)
    assert outcome.info.type == "KeyError"
    assert "second" in outcome.info.traceback
    assert len(caplog.records) == 2


async def test_an_error_that_has_no_utf_8_form_arrives_escaped() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.surrogates)
    assert outcome.info.message == r"no \ud800 text"


async def test_a_result_that_json_cannot_keep_fails_for_good() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.no_json)
    assert outcome.final
    assert (outcome.info.type, "'no_json'" in outcome.info.message) == ("UnencodableResult", True)


async def test_a_payload_that_no_longer_fits_fails_for_good_and_starts_nothing() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.double, nubmer=1)
    assert outcome.final
    assert outcome.info.type == "InvalidPayload"
    assert "did you mean 'number'?" in outcome.info.message


async def test_context_variables_that_a_handler_sets_are_gone_when_the_next_one_runs() -> None:
    async with processes() as run:
        assert [await run.result(handlers.remember, value=value) for value in "abc"] == ["clean"] * 3


async def test_progress_and_logs_arrive_as_if_the_handler_ran_here(caplog: pytest.LogCaptureFixture) -> None:
    async with processes() as run:
        task_id = await run.result(handlers.speak)
    (word,) = run.words
    assert (word.fraction, word.message, word.data) == (0.25, "quarter", {"pages": [1, 2]})
    own, other = caplog.records
    assert (own.name, own.getMessage(), own.levelno) == ("actors.task", "half of speak", logging.WARNING)
    assert (vars(own)["task_id"], vars(own)["attempt"], own.funcName) == (task_id, 1, "speak")
    assert (other.name, other.getMessage()) == ("elsewhere", "not mine")
    assert "ValueError: with a traceback" in str(other.exc_text)


async def test_a_logger_of_the_node_that_is_silent_hears_nothing_of_its_children(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("elsewhere"), "disabled", True)
    async with processes() as run:
        await run.result(handlers.speak)
    assert [record.name for record in caplog.records] == ["actors.task"]


async def test_a_flood_of_progress_is_dammed_in_the_child_and_its_last_word_arrives() -> None:
    async with processes() as run:
        await run.result(handlers.flood, count=10_000)
    assert run.words[-1].message == "last"
    assert len(run.words) < 100


async def test_progress_that_json_cannot_keep_raises_where_it_is_said() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.bad_progress)
    assert outcome.info.type == "InvalidPayload"
    assert "in bad_progress" in outcome.info.traceback


async def test_a_child_task_is_made_by_the_node_and_goes_with_the_outcome() -> None:
    async with processes() as run:
        attempt = run.call(handlers.submit)
        seen: list[TaskRequest] = []

        def prepare(request: TaskRequest) -> NewTask:
            seen.append(request)
            return attempt.surroundings.prepare(request)

        attempt.context._prepare = prepare
        outcome = await attempt.run()
    assert isinstance(outcome, Finished)
    (row,) = outcome.children
    assert orjson.loads(outcome.result) == row.task_id
    (request,) = seen
    assert (request.task_type, request.input_data, request.key) == ("child", {"day": "2026-01-02T03:04:05"}, "k")
    assert (str(request.run_at), request.timeout_seconds, request.metadata) == (
        "2026-01-02 03:04:05", float("inf"), {"a": [1, None]},
    )  # fmt: skip


async def test_what_is_wrong_with_a_child_task_raises_where_it_is_submitted() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.submit, wrong=True)
        assert outcome.info.type == "InvalidPayload"
        assert outcome.info.message.startswith("metadata: ")
        assert "in submit" in outcome.info.traceback
        for function, words in (
            (handlers.submit_what_cannot_travel, "priority"),
            (handlers.submit_no_request, "should be a TaskRequest"),
        ):
            outcome = await run.raised(function)
            assert outcome.info.type == "InvalidOption"
            assert words in outcome.info.message


@pytest.mark.parametrize("error", [InvalidPayload("'child': no"), InvalidOption("no"), KeyError("a hook's own")])
async def test_a_refusal_of_the_node_raises_in_the_child(error: Exception) -> None:
    def refuse(_: TaskRequest) -> Any:
        raise error

    async with processes() as run:
        attempt = run.call(handlers.submit_what_is_refused, kind="child")
        attempt.context._prepare = refuse
        outcome = await attempt.run()
    assert isinstance(outcome, Finished)
    known = type(error).__name__ if not isinstance(error, KeyError) else "RemoteError: KeyError"
    assert orjson.loads(outcome.result) == f"{known}: {error}"
    assert outcome.children == ()


async def test_a_thread_that_a_handler_left_behind_can_submit_nothing(tmp_path: Path) -> None:
    path, go, done = tmp_path / "told", tmp_path / "told.go", tmp_path / "told.done"
    async with processes() as run:
        await run.result(handlers.submit_late, path=str(path))
        handlers.touch(str(go))
        await until(done.exists)
        assert await run.result(handlers.double, number=1) == 2
    assert text_in(done).startswith("NotRunning: ")


def text_in(path: Path) -> str:
    """What stands in the file."""
    return path.read_text()


async def test_signals_to_all_of_a_service_leave_its_handlers_to_the_node_but_not_their_children(
    tmp_path: Path,
) -> None:
    async with processes() as run:
        assert await run.result(handlers.signal_oneself, path=str(tmp_path / "x")) == "-15 -15"


async def test_a_copy_of_a_child_cannot_speak_for_the_task(tmp_path: Path) -> None:
    path = tmp_path / "told"
    async with processes() as run:
        await run.result(handlers.fork_and_speak, path=str(path))
    assert "forked" in text_in(path)
    assert run.words == []


async def test_a_memory_error_is_an_error_like_any_other() -> None:
    async with processes() as run:
        outcome = await run.raised(handlers.eat)
    assert outcome.info.type == "MemoryError"

"""What handlers in a child process share: opened when it is asked for, kept for the child's life, closed at its end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.execution.carried import Carried
from actors.execution.process.child_resources import ChildResources, pack_resources
from actors.execution.process.outfit import Outfit
from actors.execution.resources import factory
from tests.execution import belongings
from tests.execution.processes import Processes, in_process, processes
from tests.waiting import until

FACTORIES: dict[str, Callable[[], Any]] = {
    "pool": belongings.pool,
    "http": belongings.http,
    "plain": belongings.Plain,
    "stream": belongings.stream,
    "bare stream": belongings.bare_stream,
    "async class": belongings.Async,
    "disguise": belongings.stream_in_disguise,
    "five": belongings.five_over_there,
    "lambda": belongings.a_lambda,
    "flaky": belongings.flaky,
    "missing key": belongings.MissingKey,
    "broken": belongings.broken,
    "stubborn": belongings.stubborn,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the resources note what they do."""
    monkeypatch.setenv(belongings.FOLDER, str(tmp_path))
    return tmp_path


def with_resources(calls_per_child: int = 100) -> AbstractAsyncContextManager[Processes]:
    """A pool whose children are told of all that there is."""
    functions: list[Callable[..., Any]] = [
        belongings.use, belongings.use_or, belongings.look, belongings.pid, belongings.modules,
        belongings.fork_and_leave, belongings.current_of, belongings.variable,
    ]  # fmt: skip
    made = {name: factory(name, function) for name, function in FACTORIES.items()}
    return processes(
        {function.__name__: in_process(function) for function in functions},
        calls_per_child=calls_per_child,
        outfit=Outfit.of(made, Carried(), ()),
    )


def notes(folder: Path) -> list[str]:
    """What was noted, without the pids."""
    path = folder / "notes"
    return [line.split(maxsplit=1)[1] for line in path.read_text().splitlines()] if path.exists() else []


async def test_one_is_opened_at_its_first_use_kept_for_the_next_calls_and_closed_in_reverse_at_the_end(
    folder: Path,
) -> None:
    async with with_resources() as run:
        child = await run.result(belongings.pid)
        assert notes(folder) == []
        assert await run.result(belongings.use, names=["http"]) == ["HTTP"]
        assert notes(folder) == ["opens http"]
        for _ in range(3):
            assert await run.result(belongings.use, names=["pool", "http", "plain"]) == ["POOL", "HTTP", "by class"]
        assert await run.result(belongings.pid) == child
        assert notes(folder) == ["opens http", "opens pool"]
    assert notes(folder) == ["opens http", "opens pool", "closes pool", "closes http"]


async def test_a_child_that_is_replaced_closes_what_it_has_and_the_next_one_opens_its_own(folder: Path) -> None:
    async with with_resources(calls_per_child=2) as run:
        for _ in range(4):
            await run.result(belongings.use, names=["http"])
    assert sorted(notes(folder)) == ["closes http"] * 2 + ["opens http"] * 2
    pids = [line.split()[0] for line in (folder / "notes").read_text().splitlines()]
    assert len(set(pids)) == 2


async def test_it_is_opened_outside_of_the_context_of_the_attempt_that_asked(folder: Path) -> None:
    async with with_resources() as run:
        await run.result(belongings.use, names=["pool"])
        assert await run.result(belongings.variable) == "nobody"
    assert notes(folder) == ["opens pool", "closes pool"]  # it could reset the variable that it had set


async def test_the_mapping_has_the_names_of_what_may_be_opened_here_and_looking_opens_nothing(folder: Path) -> None:
    here = [name for name in FACTORIES if name not in ("stream", "bare stream", "async class", "lambda")]
    async with with_resources() as run:
        names, length, inside, shown = await run.result(belongings.look)
    assert (names, length, inside) == (here, len(here), [True, False, False])
    assert shown == f"<Resources {', '.join(here)}>"
    assert notes(folder) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stream", "the resource 'stream' is async, and a process handler is not; use it in another mode, or declare"),
        ("bare stream", "the resource 'bare stream' is async"),
        ("async class", "the resource 'async class' is async"),
        ("disguise", "the resource 'disguise' is async"),
        ("five", "the resource 'five' has a factory that gave 5 in a process; it should be a function"),
        (
            "lambda",
            "the resource 'lambda' cannot be opened in a process, which imports its factory by name, and this one is a"
            " lambda; declare a function at the top level of a module",
        ),
        ("htpp", "no resource is named 'htpp'; did you mean 'http'?"),
    ],
)
async def test_what_is_not_to_be_had_in_a_process_is_a_key_error_that_says_why_and_what_to_do(
    name: str, words: str
) -> None:
    async with with_resources() as run:
        for _ in range(2):
            outcome = await run.raised(belongings.use, names=[name])
            assert outcome.info.type == "KeyError"
            assert words in outcome.info.message
        assert await run.result(belongings.use_or, name=name) == "another"


async def test_one_that_cannot_be_opened_fails_that_attempt_alone_and_the_next_one_tries_again(folder: Path) -> None:
    async with with_resources() as run:
        child = await run.result(belongings.pid)
        outcome = await run.raised(belongings.use, names=["http", "flaky"])
        assert (outcome.info.type, outcome.info.message) == ("ConnectionError", "no route to host")
        assert "in flaky" in outcome.info.traceback
        assert await run.result(belongings.use, names=["http"]) == ["HTTP"]
        (folder / "repaired").touch()
        assert await run.result(belongings.use, names=["flaky"]) == ["repaired"]
        assert await run.result(belongings.pid) == child
    assert notes(folder) == ["opens http", "closes http"]


async def test_a_key_error_of_a_factory_is_not_taken_for_a_missing_name() -> None:
    async with with_resources() as run:
        outcome = await run.raised(belongings.use_or, name="missing key")
    assert outcome.info.message == "'a key of its own'"


async def test_one_that_raises_when_it_is_closed_is_logged_in_the_node_and_the_others_are_closed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_resources() as run:
        await run.result(belongings.use, names=["http", "broken"])
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "the resource 'broken' raised while it was closed in a process: OSError: connection lost"
    )
    assert "in broken" in str(record.exc_text)
    assert "EOFError" not in str(record.exc_text)
    assert notes(folder) == ["opens http", "closes http"]


async def test_one_that_does_not_close_is_killed_with_its_process_and_that_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.execution.process.pool.LAST_WAIT", 0.5)
    async with with_resources() as run:
        child = await run.result(belongings.pid)
        await run.result(belongings.use, names=["http", "stubborn"])
    assert notes(folder) == ["opens http", "closes stubborn"]
    assert caplog.messages == [f"process {child} did not end within 0.5 s, and is killed"]


async def test_a_copy_of_the_process_that_a_handler_forks_closes_nothing(folder: Path) -> None:
    async with with_resources() as run:
        assert await run.result(belongings.fork_and_leave) == 1
        await until((folder / "copied").exists)
        assert await run.result(belongings.use, names=["pool"]) == ["POOL"]
        assert notes(folder) == ["opens pool"]
    assert notes(folder) == ["opens pool", "closes pool"]


async def test_a_child_that_opens_them_imports_no_more_than_they_need() -> None:
    functions = {function.__name__: in_process(function) for function in (belongings.modules,)}
    made = {"plain": factory("plain", belongings.Plain)}
    outfit = Outfit.of(made, Carried(), ())
    async with processes(functions, outfit=outfit) as run:
        loaded = set(await run.result(belongings.modules))
    assert not loaded & {"trio", "sqlalchemy", "asyncio", "psutil", "actors.system", "actors.store"}


def opened_here(name: str, function: Callable[[], Any]) -> ChildResources:
    """What a child makes of a resource, in this process."""
    return ChildResources(**pack_resources({name: factory(name, function)}))


def test_two_threads_that_ask_at_once_get_the_same(folder: Path) -> None:
    resources = opened_here("pool", belongings.pool)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: resources["pool"], range(32))) == {"POOL"}
    assert notes(folder) == ["opens pool"]
    resources.close()
    assert notes(folder) == ["opens pool", "closes pool"]


def test_a_factory_that_has_moved_since_the_node_looked_fails_whoever_asks() -> None:
    ((name, _, _),) = pack_resources({"pool": factory("pool", belongings.pool)})["factories"]
    resources = ChildResources([(name, (belongings.__name__, "moved", 0), "")], None)
    with pytest.raises(AttributeError, match="moved"):
        resources["pool"]


def test_a_factory_in_the_script_is_found_by_running_that_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("__main__", "__mp_main__"):
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    monkeypatch.delitem(sys.modules, "__mp_main__")
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom tests.execution.belongings import Plain, note\n"
        "note(__name__)\nif not os.path.exists(__file__ + '.ready'): raise OSError('not yet')\n"
    )
    resources = ChildResources([("plain", ("__main__", "Plain", 0), "")], (str(script), None))
    with pytest.raises(OSError, match="not yet"):
        resources["plain"]
    script.with_suffix(".py.ready").touch()
    assert resources["plain"] == "by class"
    assert resources["plain"] == "by class"
    assert notes(tmp_path) == ["__mp_main__"] * 2

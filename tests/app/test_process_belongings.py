"""What handlers in processes are given beside their payload: shared resources, and context variables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import pytest
import trio

from actors import ExecutionMode, Settings, TaskContext, TaskEventType, TaskRequest, TaskSystem
from actors.errors import InvalidOption, TaskFailed
from tests.app.world import collect, in_process, refused
from tests.execution import belongings
from tests.waiting import until

SOON = 20.0
"""Seconds within which everything here has happened, on a machine that is busy."""
PROCESS = ExecutionMode.PROCESS


@pytest.fixture
def app(file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskSystem:
    """One slot for processes, so that one of them does all the work."""
    monkeypatch.setenv(belongings.FOLDER, str(tmp_path))
    return TaskSystem(file_url, settings=Settings(max_cpu_workers=1, grace_seconds=0.3))


@asynccontextmanager
async def running(app: TaskSystem) -> AsyncIterator[None]:
    """Run *app* for as long as a test may take."""
    with trio.fail_after(SOON):
        async with app.running():
            yield


async def test_a_plain_resource_is_opened_once_in_the_node_and_once_in_each_process_that_asks(
    app: TaskSystem, tmp_path: Path
) -> None:
    app.resource("pool", belongings.pool)
    app.resource("stream", belongings.stream)
    use, look = in_process(app, belongings.use), in_process(app, belongings.look)
    async with running(app):
        assert (await (await look.submit()).result())[0] == ["pool"]
        for _ in range(2):
            assert await (await use.submit(names=["pool"])).result() == ["POOL"]
        with pytest.raises(TaskFailed, match="the resource 'stream' is async"):
            await (await use.submit(names=["stream"])).result()
    notes = [line.split(maxsplit=1) for line in (tmp_path / "notes").read_text().splitlines()]
    mine = [words for pid, words in notes if int(pid) == os.getpid()]
    others = [words for pid, words in notes if int(pid) != os.getpid()]
    assert mine == others == ["opens pool", "closes pool"]


async def test_processes_close_theirs_while_the_node_closes_its_own(app: TaskSystem, tmp_path: Path) -> None:
    app.resource("http", belongings.http)
    use = in_process(app, belongings.use)

    @app.resource("patient")
    async def patient() -> AsyncIterator[None]:
        yield
        await until(lambda: "closes http" in (tmp_path / "notes").read_text(), within=2.0)

    async with running(app):
        await (await use.submit(names=["http"])).result()
    notes = [line.split(maxsplit=1) for line in (tmp_path / "notes").read_text().splitlines()]
    assert [words for _, words in notes] == ["opens http"] * 2 + ["closes http"] * 2
    assert [int(pid) == os.getpid() for pid, _ in notes] == [True, False, False, True]


async def test_a_resource_that_no_process_can_open_is_no_error_of_the_start(app: TaskSystem) -> None:
    app.resource("client", lambda: belongings.Plain())
    use = in_process(app, belongings.use)

    @app.task
    async def here(ctx: TaskContext) -> str:
        return str(ctx.resources["client"])

    async with running(app):
        assert await (await here.submit()).result() == "by class"
        assert await (await use.submit(names=[])).result() == []
        with pytest.raises(TaskFailed, match="imports its factory by name, and this one is a lambda; declare a"):
            await (await use.submit(names=["client"])).result()


@pytest.fixture
def carrying(app: TaskSystem) -> TaskSystem:
    """A variable travels, and *variable* returns what it finds in it."""
    app.propagate(belongings.tenant)
    in_process(app, belongings.variable)
    return app


async def test_a_handler_in_a_process_sees_the_submitters_variables_and_the_next_one_its_own(
    carrying: TaskSystem,
) -> None:
    change = in_process(carrying, belongings.change)
    async with running(carrying):
        before = await carrying.submit(TaskRequest("variable"))
        belongings.tenant.set({"id": 7, "tags": ["a", None, 1.5]})
        ticket = await carrying.submit(TaskRequest("variable"))
        assert await before.result() == "nobody"
        assert await ticket.result() == {"id": 7, "tags": ["a", None, 1.5]}
        await (await change.submit(to="another")).result()
        belongings.tenant.set("last")
        assert await (await carrying.submit(TaskRequest("variable"))).result() == "last"
        unset = await trio.to_thread.run_sync(lambda: carrying.submit_sync(TaskRequest("variable")))
        assert await unset.result() == "last"  # a thread of trio's has the context of whoever started it


async def test_a_child_task_gets_the_values_that_the_handler_has_where_it_submits(carrying: TaskSystem) -> None:
    change = in_process(carrying, belongings.change)
    async with running(carrying), carrying.events("variable", TaskEventType.COMPLETED) as events:
        belongings.tenant.set("the parent's")
        await (await change.submit(to="the child's")).result()
        (event,) = await collect(events, TaskEventType.COMPLETED)
    assert event.data["result_data"] == "the child's"


async def test_what_a_hook_sets_before_the_attempt_is_seen_in_the_process(carrying: TaskSystem) -> None:
    carrying.before_attempt(lambda ctx: belongings.tenant.set(f"{belongings.tenant.get()}, hooked"))
    async with running(carrying):
        belongings.tenant.set("mine")
        assert await (await carrying.submit(TaskRequest("variable"))).result() == "mine, hooked"


async def test_a_variable_that_no_process_could_find_is_refused_at_the_start_before_anything_is_opened(
    app: TaskSystem, tmp_path: Path
) -> None:
    hidden: ContextVar[str] = ContextVar("hidden")
    app.propagate(hidden)

    @app.task
    def look() -> str:
        return hidden.get("nothing")

    async with running(app):  # without handlers in processes it may be anywhere
        hidden.set("found")
        assert await (await look.submit()).result() == "found"
    in_process(app, belongings.pid)
    files = sorted(os.listdir(tmp_path))
    with refused(InvalidOption, "the context variable 'hidden' travels", "mode 'process'", "keep it in a global"):
        async with app.running():
            pass
    assert sorted(os.listdir(tmp_path)) == files
    async with app.running(work=False):
        pass


SCRIPT = """
from contextvars import ContextVar
import trio
from tests.execution import belongings
from actors import ExecutionMode, TaskSystem

app = TaskSystem("sqlite:///:memory:")
request_id = ContextVar("request_id", default="none")
app.propagate(request_id)

@app.resource("greeting")
def greeting():
    yield "hello"

@app.task(mode=ExecutionMode.PROCESS)
def work() -> str:
    return request_id.get()

app.register_handler("use", belongings.use, mode=ExecutionMode.PROCESS)

async def main() -> None:
    async with app.running():
        with trio.fail_after(20):
            request_id.set("r-42")
            print(await (await work.submit()).result())
            print(await (await app.submit(app.declared("use").request((), {"names": ["greeting"]}))).result())

if __name__ == "__main__":
    trio.run(main)
"""


def test_a_script_has_its_own_resources_and_variables_in_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    finished = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (finished.stdout, finished.stderr) == ("r-42\n['hello']\n", "")

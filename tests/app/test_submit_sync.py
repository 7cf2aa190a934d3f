"""Submitting from plain threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors import Settings, TaskContext, TaskRequest, TaskSystem, Ticket
from actors.errors import InvalidOption, InvalidPayload, NotRunning
from tests.app.world import refused


async def double(number: int) -> int:
    """A handler for what is submitted here."""
    return 2 * number


def request(number: Any = 21) -> TaskRequest:
    return TaskRequest("double", {"number": number})


async def test_a_thread_gets_a_ticket_after_the_commit(app: TaskSystem) -> None:
    app.task(double)
    async with app.running():
        ticket: Ticket[Any] = await trio.to_thread.run_sync(app.submit_sync, request())
        assert ticket.created
        assert await app.get(ticket.task_id) is not None
        assert await ticket.result() == 42


async def test_a_thread_that_trio_did_not_start_may_submit(app: TaskSystem) -> None:
    app.task(double)
    answers: queue.SimpleQueue[Ticket[Any]] = queue.SimpleQueue()
    async with app.running():
        thread = threading.Thread(target=lambda: answers.put(app.submit_sync(request())))
        thread.start()
        ticket = await trio.to_thread.run_sync(answers.get)
        assert await ticket.result() == 42
        await trio.to_thread.run_sync(thread.join)


async def test_a_thread_handler_may_submit_what_does_not_depend_on_its_outcome(app: TaskSystem) -> None:
    app.task(double)

    @app.task(max_retries=0)
    def parent(ctx: TaskContext) -> None:
        ctx.log.debug("%s", app.submit_sync(request()))
        raise ValueError

    async with app.running():
        await (await parent.submit()).wait()
        assert await app.count(task_type="double") == 1


async def test_errors_come_to_the_thread(app: TaskSystem) -> None:
    app.task(double)

    def submit() -> None:
        with refused(InvalidPayload, "'number'"):
            app.submit_sync(request("many"))

    async with app.running():
        await trio.to_thread.run_sync(submit)
        assert await app.count() == 0


async def test_in_trios_thread_it_says_what_to_call_instead(app: TaskSystem) -> None:
    app.task(double)
    async with app.running():
        with refused(InvalidOption, "submit_sync", "await app.submit"):
            app.submit_sync(request())
        assert await app.count() == 0


def test_while_the_system_does_not_run_it_says_so(app: TaskSystem) -> None:
    app.task(double)
    with refused(NotRunning, "app.running()"):
        app.submit_sync(request())


async def test_a_thread_that_comes_too_late_hears_that_the_system_has_stopped(
    app: TaskSystem, settings: Settings
) -> None:
    app.task(double)
    async with app.running():
        node = app.running_node

    def submit() -> None:
        with refused(NotRunning, "stopped"):
            node.from_thread(node.submit, [])

    await trio.to_thread.run_sync(submit)


@pytest.mark.parametrize("ended", [True, False])
def test_a_thread_that_outlives_the_event_loop_hears_that_the_system_has_stopped(ended: bool) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings())
    calls: list[Callable[[], object]] = []
    faults: list[str] = []

    async def never() -> None:
        await trio.sleep_forever()

    def call() -> None:
        try:
            calls[0]()
        except NotRunning as error:
            faults.append(str(error))

    async def run() -> None:
        async with app.running():
            node = app.running_node
            calls.append(lambda: node.from_thread(never))
        if not ended:
            thread.start()
            await trio.testing.wait_all_tasks_blocked(0.05)

    thread = threading.Thread(target=call)
    trio.run(run)
    if ended:
        thread.start()
    thread.join(10)
    assert len(faults) == 1
    assert "stopped" in faults[0]

"""A whole node: what hangs together in no actor alone."""

from __future__ import annotations

from typing import Any

import orjson
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import __version__
from actors.core.events import TaskEvent, TaskEventType
from actors.core.request import NewTask
from actors.core.retention import DAY, Retention
from actors.execution.handler import Handler
from actors.execution.hooks import AttemptHooks
from actors.system.node import Node
from actors.system.plan import Plan
from actors.system.supervisor import running
from tests.execution.world import handler
from tests.system.world import AGING, MEMORY, World


async def nothing() -> None:
    """A handler with nothing to do."""


def never(*_: Any) -> NewTask:
    """Nobody requests anything of the Intake here."""
    raise AssertionError


def plan(*listeners: list[TaskEvent]) -> Plan:
    """A node in memory; *listeners* get all events."""
    handlers: dict[str, Handler] = {"work": handler(nothing)}
    return Plan(
        url=MEMORY, work=True, handlers=handlers, lanes={"coroutine": 4}, calls_per_child=1, prepare=never,
        callbacks=[listener.append for listener in listeners], hooks=AttemptHooks(), aging=AGING, grace=1.0, lease=15.0,
        retention=Retention(DAY, DAY, DAY),
    )  # fmt: skip


def told(node: Node) -> int:
    """How many messages the Monitor has handled."""
    (monitor,) = (child for child in node.snapshot() if child.name == "monitor")
    return monitor.handled


async def run_one(node: Node) -> None:
    """See one task to its end."""
    row = World().row()
    await node.submit([row])
    await node.wait(row.task_id)
    await wait_all_tasks_blocked()


async def test_every_transaction_is_counted_though_nobody_listens(autojump_clock: MockClock) -> None:
    async with running(plan()) as node:
        await run_one(node)
        rates = node.metrics().rates
        assert (rates["submitted"], rates["started"], rates["completed"]) == (1.0, 1.0, 1.0)
        assert told(node) == 0


async def test_the_monitor_hears_of_transactions_while_someone_listens(autojump_clock: MockClock) -> None:
    async with running(plan()) as node:
        with node.subscribe(None, {TaskEventType.COMPLETED}) as events:
            await run_one(node)
            assert (await events.receive()).type is TaskEventType.COMPLETED
        heard = told(node)
        await run_one(node)
    assert heard > 0
    assert told(node) == heard


async def test_a_callback_listens_all_the_time(autojump_clock: MockClock) -> None:
    events: list[TaskEvent] = []
    async with running(plan(events)) as node:
        await run_one(node)
    assert [event.type for event in events] == [
        TaskEventType.SUBMITTED, TaskEventType.STARTED, TaskEventType.COMPLETED
    ]  # fmt: skip


async def test_a_node_describes_itself_as_json_whatever_its_errors_say(autojump_clock: MockClock) -> None:
    async with running(plan()) as node:
        await run_one(node)
        slot = node.tree._slots[0]
        slot.last_error = ValueError("half a character: \ud800")
        found = orjson.loads(node.description())
        assert found["mailboxes"]["storage"]["last_error"] == "ValueError: half a character: \\ud800"
        assert found["mailboxes"]["storage"]["state"] == "running"
        assert (found["work"], found["version"], found["at"]) == (True, __version__, node.clock.wall())

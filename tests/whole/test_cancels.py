"""1,000 cancels, in random states of their tasks and in every mode: counts, slots, leases and children stay exact."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import attrs
import psutil
import pytest
import trio

from actors import ExecutionMode, RetryPolicy, Settings, TaskContext, TaskEvent, TaskEventType, TaskSystem
from tests.execution.processes import open_files
from tests.waiting import until
from tests.whole import plain
from tests.whole.programs.mode_bodies import MODES
from tests.whole.table import File

CANCELS = int(os.environ.get("ACTORS_CANCELS", "1000"))
SEED = int(os.environ.get("ACTORS_CANCEL_SEED", "20240612"))
AT_ONCE = 60
HOUR = 3600.0
SLOTS = {"coroutine": 40, "asyncio": 40, "thread": 8, "process": 3}
STATES = (
    "pending", "scheduled", "retrying", "ended", *(f"running {mode}" for mode in MODES), "any moment", "in line",
)  # fmt: skip
LINE = 5
"""Small tasks that are submitted at once, so that some wait in the line of a child process for others."""


async def of_trio(ctx: TaskContext) -> None:
    with ctx.until_stopping():
        await trio.sleep_forever()


async def of_asyncio(ctx: TaskContext) -> None:
    async with ctx.until_stopping():
        await asyncio.sleep(HOUR)


async def deaf_of_trio(ctx: TaskContext) -> None:
    await trio.sleep_forever()


async def deaf_of_asyncio(ctx: TaskContext) -> None:
    await asyncio.sleep(HOUR)


OBEYS: dict[str, Callable[..., Any]] = {
    "coroutine": of_trio,
    "asyncio": of_asyncio,
    "thread": plain.obeys,
    "process": plain.obeys,
}
DEAF: dict[str, Callable[..., Any]] = {
    "coroutine": deaf_of_trio,
    "asyncio": deaf_of_asyncio,
    "thread": plain.deaf,
    "process": plain.deaf_and_busy,
}


@attrs.frozen
class Cancel:
    """What one cancel met, and what it said."""

    state: str
    task_type: str
    said: bool


class Crowd:
    """A task system with types for every state, and who cancels their tasks."""

    def __init__(self, file: File, chance: random.Random) -> None:
        settings = Settings(
            grace_seconds=0.2, max_cpu_workers=SLOTS["process"], max_io_workers=SLOTS["thread"],
            lanes={mode: SLOTS[mode] for mode in MODES if mode in ("coroutine", "asyncio")},
        )  # fmt: skip
        self.app = TaskSystem(file.url, settings=settings)
        self.chance = chance
        self.cancels: dict[str, Cancel] = {}
        self._seen = defaultdict[tuple[str, TaskEventType], trio.Event](trio.Event)
        self.app.on_event(self._note)
        self.types = {
            name: self.app.register_handler(name, function, mode=ExecutionMode(mode), timeout=60, retry=policy)
            for name, function, mode, policy in self._declarations()
        }

    @staticmethod
    def _declarations() -> list[tuple[str, Callable[..., Any], str, RetryPolicy]]:
        once, later = RetryPolicy.none(), RetryPolicy(base_delay=HOUR, max_delay=HOUR)
        return [
            *((f"obeys {mode}", OBEYS[mode], mode, once) for mode in MODES),
            *((f"deaf {mode}", DEAF[mode], mode, once) for mode in MODES),
            *((f"fails {mode}", plain.fails, mode, later) for mode in ("thread", "process")),
            *((f"quick {mode}", plain.quick, mode, once) for mode in ("thread", "process")),
            ("naps process", plain.naps, "process", once),
            ("paused", plain.fails, "thread", once),
        ]

    def _note(self, event: TaskEvent) -> None:
        self._seen[event.task_id, event.type].set()

    async def cancel_in(self, state: str) -> None:
        """Submit a task, see it come into *state*, and cancel it."""
        if state == "in line":
            await self._cancel_line()
            return
        task_type = self.type_for(state)
        bound = self.types[task_type].options(delay=HOUR if state == "scheduled" else None)
        ticket = await bound.submit(**({"number": 1} if task_type.startswith("quick") else {}))
        with trio.fail_after(60):
            await self._comes_into(state, ticket.task_id)
        self.cancels[ticket.task_id] = Cancel(state, task_type, await ticket.cancel())
        await ticket.wait()

    async def _cancel_line(self) -> None:
        naps = self.types["naps process"]
        tickets = await self.app.submit_many(naps.request() for _ in range(LINE))
        with trio.fail_after(60):
            await self._seen[tickets[0].task_id, TaskEventType.STARTED].wait()
        for ticket in self.chance.sample(tickets, LINE):
            self.cancels[ticket.task_id] = Cancel("in line", naps.task_type, await ticket.cancel())
        for ticket in tickets:
            await ticket.wait()

    def type_for(self, state: str) -> str:
        """A type whose tasks come there; some that obey, some that do not."""
        mode = self.chance.choice(MODES)
        plain_mode = self.chance.choice(("thread", "process"))
        manners = "deaf" if self.chance.random() < 0.25 else "obeys"
        if state.startswith("running "):
            return f"{manners} {state.removeprefix('running ')}"
        return {
            "pending": "paused",
            "scheduled": f"{manners} {mode}",
            "retrying": f"fails {plain_mode}",
            "ended": f"quick {plain_mode}",
            "any moment": self.chance.choice([f"obeys {mode}", f"quick {plain_mode}", f"fails {plain_mode}"]),
        }[state]

    async def _comes_into(self, state: str, task_id: str) -> None:
        if state.startswith("running "):
            await self._seen[task_id, TaskEventType.STARTED].wait()  # its claim is committed; it may have begun or not
            await trio.sleep(self.chance.choice([0.0, 0.03]))
        elif state == "retrying":
            await self._seen[task_id, TaskEventType.RETRY_SCHEDULED].wait()
        elif state == "ended":
            await self._seen[task_id, TaskEventType.COMPLETED].wait()
        elif state == "any moment":
            await trio.sleep(self.chance.choice([0.0, self.chance.uniform(0.0, 0.05)]))

    async def assert_whole(self) -> None:
        """No lease and no slot is held, no child is too many, and every slot takes work."""
        node = self.app.running_node
        await until(lambda: not node.running.leased and not any(lane.stuck for lane in node.running.lanes.values()))
        requests = [self.types[f"quick {mode}"].request(number=number) for mode in ("thread", "process")
                    for number in range(2 * SLOTS[mode])]  # fmt: skip
        for ticket in await self.app.submit_many(requests):
            await ticket.wait()
        await until(lambda: not node.running.leased)
        for name, lane in self.app.metrics().lanes.items():
            assert (name, lane.running, lane.free, lane.stuck) == (name, 0, SLOTS[name], 0)
            assert node.running.lanes[name].limiter.borrowed_tokens == 0
        assert node.running.by_type.total() == 0
        await until(lambda: 1 <= len(psutil.Process().children()) <= SLOTS["process"] + 1)
        assert psutil.STATUS_ZOMBIE not in [child.status() for child in psutil.Process().children()]


async def assert_statistics(app: TaskSystem, file: File) -> None:
    """What the node says of all tasks is what the rows say."""
    rows = file.tasks().values()
    told = await app.statistics()
    assert told.total_tasks == len(rows)
    assert {status: n for status, n in told.by_status.items() if n} == Counter(row["status"] for row in rows)
    assert {name: n for name, n in told.by_type.items() if n} == Counter(row["task_type"] for row in rows)
    assert told.success_count == sum(row["status"] == "completed" for row in rows)


@pytest.mark.timeout(60 + CANCELS // 5)
async def test_a_thousand_cancels_in_random_states_leave_counts_slots_leases_and_children_exact(file: File) -> None:
    print(f"\n{CANCELS} cancels, ACTORS_CANCEL_SEED={SEED}")
    chance, files = random.Random(SEED), open_files()
    crowd, at_once = Crowd(file, chance), trio.CapacityLimiter(AT_ONCE)

    async def one(state: str) -> None:
        async with at_once:
            await crowd.cancel_in(state)

    async with crowd.app.running():
        await crowd.app.pause(task_type="paused")
        async with trio.open_nursery() as nursery:
            left = CANCELS
            while left > 0:
                state = chance.choice(STATES)
                left -= LINE if state == "in line" else 1
                nursery.start_soon(one, state)
        await crowd.assert_whole()
        await assert_statistics(crowd.app, file)
    assert psutil.Process().children(recursive=True) == []
    assert open_files() == files
    assert_rows(file, crowd.cancels)


def assert_rows(file: File, cancels: dict[str, Cancel]) -> None:
    """Each row ended as its cancel had said, and each attempt that was cut short is written down once."""
    rows, written = file.tasks(), file.attempts()
    met = Counter(cancel.state for cancel in cancels.values())
    print(dict(met), dict(Counter(cancel.said for cancel in cancels.values())))
    assert min(met[state] for state in STATES) > CANCELS // 50
    for task_id, cancel in cancels.items():
        row = rows[task_id]
        assert (row["status"] == "cancelled") is cancel.said, (cancel, row)
        outcomes = [attempt["outcome"] for attempt in written.get(row["seq"], [])]
        if cancel.state not in ("any moment", "in line"):
            assert cancel.said is (cancel.state != "ended"), (cancel, row)
            assert outcomes == expected_outcomes(cancel.state), (cancel, row)
    assert {row["status"] for row in rows.values()} <= {"cancelled", "completed"}
    file.assert_exact(**Counter(row["status"] for row in rows.values()))
    assert file.rows("SELECT * FROM actors_node") == []


def expected_outcomes(state: str) -> list[str]:
    """Of the attempts of a task that was cancelled there."""
    if state.startswith("running "):
        return ["cancelled"]
    return ["failed"] if state == "retrying" else []

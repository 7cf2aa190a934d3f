"""One stop contract in every mode: a table of modes and of ways to end, and what each comes to. Real time."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest
import trio

from actors import (
    Attempt,
    ExecutionMode,
    Settings,
    Task,
    TaskEvent,
    TaskEventType,
    TaskStatus,
    TaskSystem,
    Ticket,
)
from actors.system.running import LAST_WAIT
from actors.system.timeout import STUCK_AFTER
from tests.app.stop_table import CASES, HEARD, MODES, PROMPT, RESULTS, SLOTS, Case, Mode
from tests.execution.processes import lives, open_files
from tests.waiting import Lateness, until


def children() -> list[psutil.Process]:
    """Of this process, zombies too; those of the mode process are the only ones that it has."""
    return psutil.Process().children()


@attrs.frozen
class Kept:
    """What the database says of a task and of the node that ran it."""

    task: Task
    attempts: Sequence[Attempt]
    running: int
    leases: int

    @property
    def outcomes(self) -> list[str]:
        """Of the attempts that did not simply succeed."""
        return [attempt.outcome for attempt in self.attempts]

    @property
    def error(self) -> str:
        """What is stored of it."""
        return "" if self.task.error_info is None else self.task.error_info.message

    @property
    def family(self) -> list[int]:
        """The processes that its handler had started."""
        return [] if self.task.progress is None else list(self.task.progress.data["family"])

    @property
    def ended_at(self) -> datetime:
        """When it ended, or was given back."""
        return self.task.completed_at or self.attempts[-1].ended_at


class Trial:
    """One case in one mode.

    Attributes:
        began, began_at: on trio's clock and on the wall's, when it was stopped, or when it started if nothing stops it.
        seconds: from then until the test saw it ended, or had left the system.
    """

    def __init__(self, mode: Mode, case: Case, url: str) -> None:
        self.case = case
        self.mode = mode
        self.app = TaskSystem(url, settings=Settings(grace_seconds=case.grace, lanes={"small": SLOTS}))
        options: dict[str, Any] = {"mode": mode.mode, "lane": "small"}
        self.work = self.app.register_handler("work", mode.bodies[case.body], **options, **case.options)
        self.probe = self.app.register_handler("probe", mode.bodies["finishes"], **options)
        self.told: list[TaskEvent] = []
        self.app.on_event(self.told.append)
        self.task_id = ""
        self.began = self.seconds = 0.0
        self.began_at = datetime.now(UTC)

    async def run(self) -> None:
        """Submit it, let happen what is to happen, and see everything whole."""
        async with self.app.running():
            await self.whole()  # and whatever is started for the first task is there
            async with self.app.events("work", TaskEventType.PROGRESS) as progress:
                ticket = await self._submitted()
                self.task_id = ticket.task_id
                self._begin()
                if self.case.stop in ("cancel", "shutdown", "kill"):
                    word = await progress.receive()
                    self._begin()
                if self.case.stop == "kill":
                    os.kill(word.data["data"]["pid"], signal.SIGKILL)
                if "cancel" in self.case.stop:
                    assert await ticket.cancel()
            if self.case.stop != "shutdown":
                await ticket.wait()
                self.seconds = trio.current_time() - self.began
                await self.whole()
        if self.case.stop == "shutdown":
            self.seconds = trio.current_time() - self.began

    def _begin(self) -> None:
        self.began, self.began_at = trio.current_time(), datetime.now(UTC)

    async def _submitted(self) -> Ticket[Any]:
        delay = 60.0 if self.case.stop == "cancel pending" else None
        return await self.work.options(delay=delay).submit()

    async def whole(self) -> None:
        """Every slot of the lane is free and good, nothing is leased, no thread counted, and no child is too many."""
        node = self.app.running_node
        lane = node.running.lanes["small"]
        await until(lambda: not lane.stuck and not node.running.leased)
        for ticket in [await self.probe.submit() for _ in range(2 * lane.slots)]:
            await ticket.result()
        await until(lambda: not node.running.leased)
        shown = self.app.metrics().lanes["small"]
        assert (shown.running, shown.free, shown.stuck) == (0, SLOTS, 0)
        assert lane.limiter.borrowed_tokens == 0
        assert node.running.by_type.total() == 0
        if self.mode.mode is ExecutionMode.PROCESS:
            await until(lambda: 1 <= len(children()) <= SLOTS + 1)  # those that worked, and the one ahead
            assert psutil.STATUS_ZOMBIE not in [child.status() for child in children()]

    @property
    def stuck(self) -> bool:
        """Whether it runs on after its hard stage."""
        return self.case.body in self.mode.stuck

    @property
    def left_behind(self) -> bool:
        """Whether it is recorded without its consent."""
        return self.stuck and (self.case.stop != "shutdown" or self.mode.left_at_once)

    def events(self) -> tuple[list[TaskEventType], bool]:
        """What was told of the task, but for its progress, which may be told or not; and whether that it is stuck."""
        told = [one.type for one in self.told if one.task_type == "work"]
        apart = (TaskEventType.PROGRESS, TaskEventType.STUCK)
        return [one for one in told if one not in apart], TaskEventType.STUCK in told

    def expected_events(self, *, stuck: bool) -> tuple[list[TaskEventType], bool]:
        """What should be told, if *stuck* was or was not.

        STUCK comes from another place than the end, before it or after it. On a machine that is late, what was killed
        may take so long to end that it is told of, too.
        """
        started = "" if self.case.stop == "cancel pending" else "started"
        names = f"submitted {started} {self.case.events}".split()
        ended_late = self.seconds >= self.case.ends + STUCK_AFTER
        return [TaskEventType(name) for name in names], self.left_behind or (stuck and ended_late)

    async def kept(self) -> Kept:
        """What the database says afterwards."""
        async with self.app.running(work=False):
            task = await self.app.get(self.task_id)
            assert task is not None
            attempts = await self.app.attempts(self.task_id)
            running = await self.app.count(status=TaskStatus.RUNNING)
            return Kept(task, attempts, running, len(await self.app.nodes()))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_stop_contract(case: Case, tmp_path: Path) -> None:
    lateness, files = Lateness(), open_files()
    trials = {
        name: Trial(MODES[name], case, f"sqlite:///{tmp_path / name}.db") for name in MODES if name in case.modes
    }  # side by side, since all they do is wait
    async with lateness.measured():
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for trial in trials.values():
                    nursery.start_soon(trial.run)
    assert (children(), open_files()) == ([], files)
    for name, trial in trials.items():
        kept = await trial.kept()
        told, stuck = trial.events()
        assert (name, told, stuck) == (name, *trial.expected_events(stuck=stuck))
        assert (name, kept.task.status, kept.task.retry_count) == (name, case.status, case.retries)
        assert (name, kept.outcomes) == (name, list(case.outcomes))
        result = RESULTS[case.body] if case.status is TaskStatus.COMPLETED else None
        assert (name, kept.task.result_data, kept.task.crash_count) == (name, result, 0)
        assert (name, kept.running, kept.leases) == (name, 0, 0)
        assert (name, len(kept.family)) == (name, 1 if (name, case.body) == ("process", "defies") else 0)
        assert not any(lives(pid) for pid in kept.family)
        assert case.error in kept.error, name

        early = HEARD if case.body in ("lasts", "defies") else 0.05
        late = PROMPT + 3 * lateness.worst  # a stop is heard of in several steps, each of which may be late
        waited_for = LAST_WAIT if trial.stuck and case.stop == "shutdown" else 0.0
        assert case.ends - early <= trial.seconds <= case.ends + waited_for + late, name
        recorded = (kept.ended_at - trial.began_at).total_seconds()
        assert case.ends - early <= recorded <= case.ends + (0.0 if trial.left_behind else waited_for) + late, name

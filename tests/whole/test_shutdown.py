"""A shutdown amid running tasks loses nothing and burns nothing."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable

import trio

from actors import Settings, TaskContext, TaskEventType, TaskSystem
from tests.waiting import until
from tests.whole.process import Program, poll
from tests.whole.table import File, result

GRACE = 0.5
KIND = 50


class Shift:
    """Four kinds of 50 tasks; in the first shift they behave as their names say, in the second they just return."""

    def __init__(self, file: File) -> None:
        self.app = TaskSystem(file.url, settings=Settings(grace_seconds=GRACE, max_io_workers=KIND))
        self.second = False
        self.began = 0
        self.cleaned = 0
        kinds = (self.stubborn, self.polite, self.in_time, self.looking)
        self.types = [self.app.register_handler(kind.__name__, kind) for kind in kinds]

    async def stubborn(self, number: int) -> int:
        """Needs longer than the grace time."""
        self.began += 1
        if not self.second:
            await trio.sleep_forever()
        return number

    async def polite(self, context: TaskContext, number: int) -> int:
        """Stops at the soft stage, and cleans up."""
        self.began += 1
        if not self.second:
            with context.until_stopping():
                await trio.sleep_forever()
            self.cleaned += 1
        return number

    async def in_time(self, context: TaskContext, number: int) -> int:
        """Hears of the stop and still finishes within the grace time."""
        self.began += 1
        if not self.second:
            await until(lambda: context.stopping is not None)
        return number

    def looking(self, context: TaskContext, number: int) -> int:
        """A thread that looks now and then whether it should stop."""
        self.began += 1
        while not self.second:
            context.check()
            time.sleep(0.01)  # its work
        return number


async def test_a_shutdown_amid_200_running_tasks_returns_what_did_not_finish_and_counts_nothing(file: File) -> None:
    shift, events = Shift(file), Counter[tuple[TaskEventType, str]]()
    shift.app.on_event(lambda event: events.update([(event.type, event.task_type)]))
    async with shift.app.running():
        await shift.app.submit_many(kind.request(number=number) for kind in shift.types for number in range(KIND))
        await until(lambda: shift.began == 4 * KIND)
        assert file.by_status()["running"] == 4 * KIND
        leaving = trio.current_time()
    assert GRACE <= trio.current_time() - leaving < GRACE + 5

    file.assert_exact(pending=3 * KIND, completed=KIND)
    left = file.tasks("status = 'pending'").values()
    assert Counter(row["task_type"] for row in left) == dict.fromkeys(("stubborn", "polite", "looking"), KIND)
    assert {(row["retry_count"], row["crash_count"], row["attempt"]) for row in left} == {(0, 0, 1)}
    assert {attempt["outcome"] for written in file.attempts().values() for attempt in written} == {"returned"}
    returned = {name: n for (kind, name), n in events.items() if kind is TaskEventType.RETURNED}
    assert returned == {"stubborn": KIND, "polite": KIND, "looking": KIND}
    assert shift.cleaned == KIND

    shift.second = True
    async with shift.app.running():
        for task_id in file.tasks():
            assert isinstance(await shift.app.ticket(task_id).result(), int)
    file.assert_exact(completed=4 * KIND)
    assert Counter(row["attempt"] for row in file.tasks().values()) == {1: KIND, 2: 3 * KIND}


def stopped_in(program: Program) -> float:
    """Seconds from the first SIGTERM to the orderly end."""
    (asked, *_) = [float(words[1]) for words in program.lines if words[0] == "stopping"]
    ended = float(program.line("ended")[0])
    assert program.wait() == 0, program.story()
    return ended - asked


def test_sigterm_in_mid_claim_loses_nothing_and_leaves_nothing_running(
    file: File, start: Callable[..., Program]
) -> None:
    program = start("service", file.path, 0.2, 30, "mid-claim")
    program.line("stopping")
    assert stopped_in(program) < 5
    counts = file.by_status()
    assert counts["running"] == 0
    assert counts["pending"] == len(file.tasks()) == 30
    file.assert_exact(pending=30)
    assert {row["retry_count"] for row in file.tasks().values()} == {0}

    again = start("service", file.path, 1.0, 0)
    again.line("running")
    poll(lambda: file.by_status()["completed"] + file.by_status()["running"] == 30)
    again.signal(signal.SIGTERM)
    again.line("ended")
    assert file.by_status()["running"] == 0


def test_when_the_grace_time_runs_out_the_tasks_go_back(file: File, start: Callable[..., Program]) -> None:
    program = start("service", file.path, 0.5, 100)
    program.line("all-run")
    program.signal(signal.SIGTERM)
    program.line("stopping")
    assert 0.5 <= stopped_in(program) < 0.5 + 5
    file.assert_exact(pending=100)
    assert {(row["retry_count"], row["attempt"]) for row in file.tasks().values()} == {(0, 1)}
    assert sum(words[0] == "returned" for words in program.lines) == 100

    again = start("service", file.path, 0.5, 0)
    again.line("running")
    poll(lambda: file.by_status()["completed"] == 100)
    again.signal(signal.SIGTERM)
    again.line("ended")
    assert sorted(result(row) for row in file.tasks().values()) == list(range(100))


def test_a_second_sigterm_ends_the_grace_time(file: File, start: Callable[..., Program]) -> None:
    program = start("service", file.path, 60.0, 100)
    program.line("all-run")
    program.signal(signal.SIGTERM)
    program.line("stopping")
    assert program.lives_on(0.3), "it did not wait for its tasks"
    program.signal(signal.SIGTERM)
    program.line("stopping")
    assert stopped_in(program) < 5 + 0.3
    file.assert_exact(pending=100)

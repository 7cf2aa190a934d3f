"""Live figures, events, and the words of handlers."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.core.errors import InvalidPayload
from actors.core.events import TaskEventType
from actors.core.lifecycle import Transition
from actors.core.outcome import AttemptOutcome
from actors.core.request import Receipt
from actors.core.task import ErrorInfo, Progress, TaskStatus, moment
from actors.execution.attempt import Attempt
from actors.store.leases import Recovered
from actors.store.settle import Settled
from actors.store.steer import Cancelled, Expired
from actors.system.happenings import events_of
from actors.system.metrics import WINDOW, Meter, Resources
from actors.system.transaction import Transaction
from tests.system.world import AGING, World

ERROR = ErrorInfo("ValueError", "no", "", 1, moment(0))


def transaction(world: World) -> Transaction:
    """One that has done nothing yet."""
    return Transaction(world.database().look(lambda connection: connection), "node-1", world.clock.wall(), AGING)


async def test_rates_are_those_of_the_last_minute(autojump_clock: MockClock) -> None:
    world, meter = World(), Meter(trio.current_time())
    done = transaction(world)
    task = world.take(1)
    done.settled = [(world.finished(task), Settled.STORED), (world.finished(task), Settled.FENCED)]
    done.settled.append((world.finished(task), Settled.STORED_BEFORE))
    done.claimed = [task]
    for _ in range(10):
        meter.count(done, trio.current_time())
        autojump_clock.jump(1)
    assert meter.rates(trio.current_time()) == {"completed": 1.0, "started": 1.0, "fenced": 1.0}
    autojump_clock.jump(WINDOW)
    assert meter.rates(trio.current_time()) == {}
    assert meter.latencies()["work"].count == 10
    assert meter.latencies()["work"].p50 == pytest.approx(0.5, rel=0.05)


async def test_what_ended_otherwise_counts_in_no_latency(autojump_clock: MockClock) -> None:
    world, meter = World(), Meter(trio.current_time())
    done = transaction(world)
    failed = attrs.evolve(world.finished(world.take(1)), transition=Transition.FAIL, result=None, error=ERROR)
    done.settled = [(failed, Settled.STORED)]
    meter.count(done, 0.0)
    assert meter.rates(0.5) == {"failed": 1.0}
    assert meter.latencies() == {}


def test_resources_are_sampled_once_a_second() -> None:
    resources = Resources()
    first, second, third = resources.look(100.0), resources.look(100.9), resources.look(101.5)
    assert first.memory_usage_mb > 0
    assert first.threads >= 1
    assert [first.age_seconds, second.age_seconds, third.age_seconds] == pytest.approx([0, 0.9, 0])


async def test_each_happening_is_an_event_in_the_order_of_the_transaction() -> None:
    world = World()
    done = transaction(world)
    attempt = world.attempt(1)
    world.board.report(attempt, Progress(0.5, "half"))
    done.progress = world.board.take()
    change = world.finished(attempt.task)
    failed = attrs.evolve(change, transition=Transition.FAIL, result=None, error=ERROR)
    again = attrs.evolve(failed, transition=Transition.RETRY, due_at=9.0, outcome=AttemptOutcome.FAILED)
    done.settled = [
        (change, Settled.STORED), (failed, Settled.CANCELLED), (change, Settled.FENCED),
        (change, Settled.STORED_BEFORE), (again, Settled.STORED),
    ]  # fmt: skip
    row = world.row()
    done.submitted = [(row, Receipt(row.task_id, True)), (row, Receipt(row.task_id, False))]
    done.expired = [Expired("2", "work", 0, ERROR)]
    done.recovered = [
        Recovered(3, "3", "work", 1, TaskStatus.PENDING, None),
        Recovered(4, "4", "work", 1, TaskStatus.FAILED, ERROR),
    ]
    done.claimed = [attempt.task]
    events = list(events_of(done))
    kind = TaskEventType
    assert [event.type for event in events] == [
        kind.PROGRESS, kind.COMPLETED, kind.CANCELLED, kind.FENCED, kind.RETRY_SCHEDULED, kind.SUBMITTED,
        kind.TIMED_OUT, kind.RECOVERED, kind.FAILED, kind.STARTED,
    ]  # fmt: skip
    assert events[0].data["fraction"] == 0.5
    assert events[1].data == {"result_data": "done"}
    assert events[4].data == {"error_info": ERROR, "due_at": moment(9.0)}
    assert events[8].data == {"error_info": ERROR}


async def test_a_cancel_is_an_event_when_nothing_runs_that_has_to_end_first() -> None:
    done = transaction(World())
    done.cancelled = [
        Cancelled("1", "work", 0, taken=True),
        Cancelled("2", "work", 1, taken=True, running=(2, 1, "node-1")),
        Cancelled("3", "work", 1, taken=False),
    ]
    assert [event.type for event in events_of(done)] == [TaskEventType.CANCELLED]


async def test_the_latest_word_of_an_attempt_replaces_its_earlier_ones() -> None:
    world, looks = World(), list[str]()
    world.board.look = lambda: looks.append("look")
    first, second = world.attempt(1), world.attempt(2)
    for fraction in (0.1, 0.2, 0.3):
        first.context.progress(fraction)
    second.context.progress(1.0)
    assert looks == ["look"]
    (word,) = world.board.take([first])
    assert (word.seq, word.attempt) == (1, 1)
    assert '"fraction":0.3' in word.text
    assert [word.seq for word in world.board.take()] == [2]
    assert world.board.take([first]) == []


async def test_a_thread_may_speak_too() -> None:
    world, looked = World(), trio.Event()
    world.board.look = looked.set
    attempts = [world.attempt(1), world.attempt(2)]
    for attempt in attempts:
        await trio.to_thread.run_sync(attempt.context.progress, 0.5)
    await looked.wait()
    assert len(world.board.take()) == 2


async def test_a_word_that_comes_while_the_board_is_emptied_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world, looks, taken = World(), list[str](), list[int]()
    world.board.look = lambda: looks.append("look")
    first, late = world.attempt(1), world.attempt(2)

    def take_first(attempt: Attempt) -> int:  # hashed just before the word is stored: there the other thread comes in
        if not taken:
            taken.append(late.task.seq)
            taken[:] = [word.seq for word in world.board.take()]
        return object.__hash__(attempt)

    first.context.progress(0.5)
    monkeypatch.setattr(Attempt, "__hash__", take_first)
    late.context.progress(0.5)
    assert taken == [1]
    assert looks == ["look", "look"]
    assert [word.seq for word in world.board.take()] == [2]


async def test_words_that_json_cannot_keep_are_refused() -> None:
    world = World()
    with pytest.raises(InvalidPayload):
        world.attempt().context.progress(0.5, thing=object())
    assert world.board.take() == []

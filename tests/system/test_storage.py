"""The one who writes: batches, faults, and the order that waits for work."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from sqlalchemy.exc import OperationalError
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core.errors import StorageUnavailable
from actors.core.request import Claimed
from actors.kernel import Child, Limits, supervise
from actors.store import leases, rollups, views
from actors.store.connection import Connection
from actors.system.board import Word
from actors.system.housekeeping import Cleanup, Fold, Lead
from actors.system.messages import CancelRunning, LookAgain, LookForWork, LookOutside, Read, Withdraw
from actors.system.patience import LONGEST_PAUSE
from actors.system.transaction import Transaction, Write, run
from actors.system.writes import Cancel, Pause, SetProgress, Settle, Submit
from tests.execution.world import handler
from tests.system.world import AGING, Desk, MemoryDatabase, World, alive, rest, together


@attrs.frozen
class Poison(Write):
    """A message that no transaction survives."""

    def apply(self, transaction: Transaction) -> None:
        raise ValueError("poison")


def fault(code: int) -> OperationalError:
    """What the driver raises, with SQLite's *code*."""
    error = sqlite3.OperationalError("fault")
    error.sqlite_errorcode = code
    return OperationalError("INSERT", {}, error)


PROGRESS = '{"fraction":0.5,"message":"half","data":{},"at":"2026-01-01T00:00:00+00:00"}'
BUSY = sqlite3.SQLITE_BUSY
FULL = sqlite3.SQLITE_FULL


async def test_what_came_together_is_one_transaction(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        before = database.writes
        answers = await together(storage, *(Submit([world.row()]) for _ in range(5)))
    assert database.writes == before + 1
    assert [len(receipts) for receipts in answers if isinstance(receipts, list)] == [1] * 5


async def test_a_message_that_fails_in_a_batch_fails_alone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        first, bad, second = await together(storage, Submit([world.row()]), Poison(), Submit([world.row()]))
        (alone,) = await together(storage, Poison())
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert isinstance(bad, ValueError)
    assert isinstance(alone, ValueError)
    assert database.look(lambda connection: views.count(connection, views.Filter())) == 2
    assert storage.handle.statistics().dead_letters == 0
    assert "a transaction of 3 parts failed" in caplog.text


async def test_an_outcome_that_no_database_takes_fails_its_own_task_and_no_other(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row() for _ in range(4)]))
        good, bad, worse, last = (world.finished(task) for task in desk.brought)
        half = "half a character: \ud800"
        child = world.row()._replace(input_data=half)
        bad, worse = attrs.evolve(bad, result=half), attrs.evolve(worse, children=[child])
        answers = await together(storage, Settle([good, bad]), Settle([worse, last]))
    assert answers == [None, None]
    assert not world.running.leased
    stored = [database.look(partial(views.get, task_id=change.task_id)) for change in (good, bad, worse, last)]
    assert [task.status.value for task in stored if task] == ["completed", "failed", "failed", "completed"]
    for task in stored[1:3]:
        assert task is not None
        assert task.error_info is not None
        assert task.error_info.type == "OutcomeNotStored"
        assert "surrogates not allowed" in task.error_info.message
    assert {name: n for name, n in database.look(rollups.by_status).items() if n} == {"completed": 2, "failed": 2}


async def test_a_fault_that_passes_is_waited_out(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        database.faults = [fault(BUSY), fault(FULL), fault(BUSY)]
        begun = trio.current_time()
        (answer,) = await together(storage, Submit([world.row()]))
    assert isinstance(answer, list)
    assert trio.current_time() - begun == pytest.approx(0.01 + 0.02 + 0.04)


async def test_a_fault_that_stays_is_told_to_all_askers_after_ten_seconds(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        database.faults = [fault(FULL)] * 1000
        begun = trio.current_time()
        answers = await together(storage, *(Submit([world.row()]) for _ in range(20)))
        waited = trio.current_time() - begun
        database.faults = []
        (after,) = await together(storage, Submit([world.row()]))
    assert {type(answer) for answer in answers} == {StorageUnavailable}
    assert "the disk is full" in str(answers[0])
    assert 10 <= waited <= 11
    assert isinstance(after, list)


async def test_a_fault_that_starts_during_the_replay_is_told_too(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database, patience=0.0)) as storage:
        database.faults = [None, fault(FULL)]
        answers = await together(storage, Submit([world.row()]), Poison())
    assert [type(answer) for answer in answers] == [StorageUnavailable, ValueError]


async def test_a_parked_claim_starts_work_out_of_the_transaction_that_stored_it(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        before = database.writes
        await together(storage, Submit([world.row()]))
        assert database.writes == before + 1
        assert desk.seqs == [1]
        assert world.running.leased == {1: 1}
    assert database.look(lambda connection: leases.held_by(connection, "node-1")) == [(1, 1)]


async def test_only_what_is_due_starts_of_what_was_stored_together(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row(delay=30), world.row()]), Submit([world.row()]))
        await wait_all_tasks_blocked()
        assert sorted(desk.seqs) == [2, 3]


async def test_no_more_is_claimed_than_there_are_slots(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row() for _ in range(9)]))
        await together(storage, Submit([world.row()]))
        assert desk.seqs == [1, 2, 3, 4]
        first, *_ = desk.brought
        world.running.release(first)
        await together(storage, Settle([world.finished(first)]))
        assert desk.seqs == [1, 2, 3, 4, 5]
        world.running.release(desk.brought[1])
        await storage.handle.tell(LookAgain())
        await wait_all_tasks_blocked()
        assert desk.seqs == [1, 2, 3, 4, 5, 6]


async def test_a_later_order_takes_the_place_of_the_earlier_one(autojump_clock: MockClock) -> None:
    world = World()
    first, second = Desk(world), Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(first.claim)
        await storage.handle.tell(second.claim)
        await first.claim.reply.wait()
        await together(storage, Submit([world.row()]))
        assert (first.seqs, second.seqs) == ([], [1])


async def test_an_order_that_was_withdrawn_brings_nothing(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await storage.handle.ask(Withdraw())
        assert desk.claim.answered
        await together(storage, Submit([world.row()]))
    assert desk.seqs == []


async def test_what_was_claimed_but_not_handed_out_is_given_back_after_a_crash(autojump_clock: MockClock) -> None:
    world = World()
    database, row = world.database(), world.row()

    def die_after_the_claim(connection: Connection) -> list[Claimed]:
        transaction = Transaction(connection, "node-1", world.clock.wall(), AGING)
        run(transaction, [Submit([row, world.row()])], world.running.rooms(), idle=True)
        return transaction.claimed

    orphan, mine = await database.write(die_after_the_claim)
    world.running.take([mine])
    async with alive("storage", world.make_storage(database)):
        await wait_all_tasks_blocked()
        assert database.look(lambda connection: leases.held_by(connection, "node-1")) == [(mine.seq, 1)]
    back = database.look(lambda connection: views.get(connection, orphan.task_id))
    assert back is not None
    assert (back.status.value, back.retry_count, back.crash_count) == ("pending", 0, 0)


async def test_a_node_that_does_not_work_gives_nothing_back_and_looks_for_no_cancels(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with alive("storage", world.make_storage(database, working=False)) as storage:
        await storage.handle.tell(LookOutside())
    assert database.writes == 0
    assert world.scheduler.take_all() == []


async def test_the_end_of_a_lease_is_the_confirmation_of_an_outcome(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]))
        change = world.finished(desk.brought[0])
        for _ in range(2):
            await together(storage, Settle([change]))
            assert world.running.leased == {}


async def test_a_cancel_reaches_the_timeout_only_for_what_runs_here(autojump_clock: MockClock) -> None:
    world = World()
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]))
        await together(storage, Pause("lane", "coroutine", True))
        waiting = world.row()
        await together(storage, Submit([waiting]))
        await together(storage, Cancel([waiting.task_id]))
        assert world.timeout.take_all() == []
        await together(storage, Cancel([desk.brought[0].task_id]))
    assert world.timeout.take_all() == [CancelRunning([(1, 1)])]


async def test_a_task_of_the_future_hints_the_scheduler_at_its_time(autojump_clock: MockClock) -> None:
    world = World()
    row = world.row(delay=30)
    async with alive("storage", world.make_storage(world.database())) as storage:
        world.scheduler.take_all()
        await together(storage, Submit([row]))
    assert LookForWork(row.due_at) in world.scheduler.take_all()


async def test_a_pause_holds_from_its_commit_on_and_a_resume_claims_at_once(autojump_clock: MockClock) -> None:
    world = World(handler(rest), handler(rest, "mail"))
    desk = Desk(world)
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Pause("task_type", "work", True))
        await together(storage, Submit([world.row(), world.row("mail")]))
        paused = desk.seqs
        await together(storage, Pause("task_type", "work", False))
        await wait_all_tasks_blocked()
    assert paused == [2]
    assert sorted(desk.seqs) == [1, 2]


async def test_a_suspect_runs_when_the_node_is_idle(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]))
        suspect = world.row(delay=1)
        await together(storage, Submit([suspect]))
        mark = "UPDATE actors_task SET alone = 1, rank = 0 WHERE seq = 2"
        await database.write(lambda connection: connection.exec_driver_sql(mark))
        await storage.handle.tell(LookAgain())
        await wait_all_tasks_blocked()
        held_back = desk.seqs
        world.running.release(desk.brought[0])
        await together(storage, Settle([world.finished(desk.brought[0])]))
        await wait_all_tasks_blocked()
    assert held_back == [1]
    assert desk.seqs == [1, 2]


async def test_what_others_wrote_is_looked_at(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row()]))
        mark = "UPDATE actors_task SET cancel_requested = 1"
        await database.write(lambda connection: connection.exec_driver_sql(mark))
        world.scheduler.take_all()
        await storage.handle.tell(LookOutside())
        await wait_all_tasks_blocked()
        assert world.timeout.take_all() == [CancelRunning([(1, 1)])]
        assert world.scheduler.take_all() == [LookForWork()]


async def test_housekeeping_is_written_like_all_else(autojump_clock: MockClock) -> None:
    world = World()
    desk, database = Desk(world), world.database()
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.tell(desk.claim)
        await together(storage, Submit([world.row(), world.row()]))
        first, second = desk.brought
        word = Word(second.seq, second.attempt, second.task_id, second.task_type, PROGRESS)
        await together(storage, Settle([world.finished(first)]), SetProgress([word]))
        told = database.look(lambda connection: views.get(connection, second.task_id))
        await trio.sleep(50)
        old = world.clock.wall() - 10
        assert await together(storage, Lead(Cleanup(old, old)), Cleanup(old, old)) == [1, 0]
        assert await storage.handle.ask(Lead(Fold())) == 0
    assert told is not None
    assert told.progress is not None
    assert told.progress.message == "half"
    assert database.look(lambda connection: views.count(connection, views.Filter())) == 1


async def test_every_commit_is_told_and_a_full_mailbox_of_a_peer_holds_nothing_up(autojump_clock: MockClock) -> None:
    world = World()
    async with alive("storage", world.make_storage(world.database())) as storage:
        for _ in range(1100):
            await together(storage, Submit([world.row(delay=30)]))
    assert len(world.told) == 1100
    assert len(world.scheduler.take_all()) == 1000


async def test_an_error_of_a_query_goes_to_its_asker(autojump_clock: MockClock) -> None:
    def fail(_: Connection) -> None:
        raise KeyError("bad query")

    async with alive("storage", World().make_storage(World().database())) as storage:
        with pytest.raises(KeyError):
            await storage.handle.ask(Read(fail))
        assert await storage.handle.ask(Read(lambda _: 7)) == 7


@asynccontextmanager
async def uncrashable(world: World, database: MemoryDatabase) -> AsyncIterator[Child[Any]]:
    """A Storage whose first crash fails the test."""
    storage: Child[Any] = Child("storage", world.make_storage(database))
    async with supervise([storage], limits=Limits(restarts=0)):
        yield storage


async def test_a_fault_that_passes_at_the_start_is_waited_out(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    database.faults = [fault(BUSY), fault(FULL), None, fault(BUSY)]
    begun = trio.current_time()
    async with uncrashable(world, database) as storage:
        assert trio.current_time() - begun == pytest.approx(0.01 + 0.02 + 0.01)
        assert await storage.handle.ask(Submit([world.row()]))


async def test_a_fault_that_passes_while_others_words_are_looked_at_is_waited_out(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with uncrashable(world, database) as storage:
        world.scheduler.take_all()
        database.faults = [fault(BUSY)] * 3
        await storage.handle.tell(LookOutside())
        await trio.sleep(1)
        assert world.scheduler.take_all() == [LookForWork()]


async def test_a_look_that_was_given_up_is_made_up_for_with_the_next_message(autojump_clock: MockClock) -> None:
    world = World()
    database = world.database()
    async with uncrashable(world, database) as storage:
        world.scheduler.take_all()
        database.faults = [fault(FULL)] * 1000
        await storage.handle.tell(LookOutside())
        await trio.sleep(20)
        database.faults = []
        assert world.scheduler.take_all() == []
        for looks in (True, False):
            await storage.handle.ask(Submit([world.row()]))
            assert (LookForWork() in world.scheduler.take_all()) is looks


async def test_a_fault_that_stays_holds_a_stop_up_for_two_seconds_past_the_grace_time(
    autojump_clock: MockClock,
) -> None:
    world = World()
    database = world.database()
    async with uncrashable(world, database) as storage:
        database.faults = [fault(BUSY)] * 1000
        begun = trio.current_time()
        world.running.begin_stop(begun + 0.5)
        (answer,) = await together(storage, Submit([world.row()]))
        waited = trio.current_time() - begun
        before = database.writes
        (later,) = await together(storage, Submit([world.row()]))
        assert (type(later), database.writes) == (StorageUnavailable, before), "it was tried once more"
    assert isinstance(answer, StorageUnavailable)
    assert 2.5 <= waited <= 2.5 + LONGEST_PAUSE
    assert f"for {waited:g} s" in str(answer)


@pytest.mark.parametrize("beside_a_pause", [False, True])
async def test_nothing_of_a_paused_type_starts_out_of_the_batch_that_pauses_it(
    beside_a_pause: bool, autojump_clock: MockClock
) -> None:
    world = World(handler(rest), handler(rest, "mail"))
    desk = Desk(world)
    pause = [Pause("task_type", "work", True)] if beside_a_pause else []
    async with alive("storage", world.make_storage(world.database())) as storage:
        await storage.handle.tell(desk.claim)
        await wait_all_tasks_blocked()
        await together(storage, Submit([world.row()]), *pause, Submit([world.row("mail"), world.row()]))
        await wait_all_tasks_blocked()
    assert sorted(task.task_type for task in desk.brought) == ["mail"] + ["work"] * (0 if beside_a_pause else 2)

"""What processes on one PostgreSQL server tell each other: it arrives; and where it does not, it is looked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy
import trio
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from actors import TaskEventType, TaskRequest, TaskStatus, TaskSystem, Ticket
from actors.errors import TaskCancelled
from actors.store.notify import CHANNEL, Ear
from actors.system.heart import Poll
from tests.app.crew import Crew, connected, cut_off, greet, hearing, hold, listeners
from tests.app.world import collect
from tests.waiting import until

HOUR = 3600.0


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=0.2)


@pytest.fixture
def crew(postgres_url: str) -> Crew:
    return Crew(postgres_url)


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is found because it was told."""
    monkeypatch.setattr(Poll, "tick", lambda *_: HOUR)


# What arrives


@pytest.mark.usefixtures("no_polls")
async def test_what_a_web_process_submits_starts_elsewhere_and_its_result_comes_back(crew: Crew) -> None:
    async with crew.node(), crew.node(work=False) as web:
        for number in range(5):
            ticket = await web.submit(greet(str(number)))
            assert await ticket.result() == f"hello {number}"


@pytest.mark.usefixtures("no_polls")
async def test_many_results_are_awaited_at_once(crew: Crew) -> None:
    async with crew.node(), crew.node(), crew.node(work=False) as web:
        tickets = await web.submit_many([greet(str(number)) for number in range(1000)])
        results: set[str] = set()

        async def wait(ticket: Ticket[str]) -> None:
            results.add(await ticket.result())

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for ticket in tickets:
                    nursery.start_soon(wait, ticket)
        assert results == {f"hello {number}" for number in range(1000)}


@pytest.mark.usefixtures("no_polls")
async def test_work_that_a_node_has_no_room_for_starts_on_an_idle_one(crew: Crew) -> None:
    async with crew.node() as first, crew.node() as second:
        tickets = [await first.submit(hold(name)) for name in "ab"]
        await until(lambda: crew.running("a", "b"))
        tasks = [await ticket.task() for ticket in tickets]
        assert [task.node for task in tasks] == [app.running_node.name for app in (first, second)]
        crew.release.set()
        assert [await ticket.result() for ticket in tickets] == ["a", "b"]


@pytest.mark.usefixtures("no_polls")
async def test_what_a_leaving_node_gives_back_goes_on_elsewhere(crew: Crew) -> None:
    async with crew.node() as staying:
        async with crew.node() as leaving:
            ticket = await leaving.submit(hold())
            await until(lambda: crew.running("a"))
            leaving.running_node.grace = 0.0
            await trio.lowlevel.checkpoint()
        await until(lambda: crew.running("a", "a"))
        crew.release.set()
        assert await staying.ticket(ticket.task_id).result() == "a"


@pytest.mark.usefixtures("no_polls")
async def test_a_cancel_reaches_the_node_that_runs_the_task(crew: Crew) -> None:
    async with crew.node(), crew.node(), crew.node(work=False) as web:
        ticket = await web.submit(hold())
        await until(lambda: crew.running("a"))
        assert await ticket.cancel()
        with pytest.raises(TaskCancelled):
            await ticket.result()


@pytest.mark.usefixtures("no_polls")
async def test_who_awaits_a_task_elsewhere_hears_that_a_third_process_has_cancelled_it(crew: Crew) -> None:
    async with crew.node(work=False) as web, crew.node(work=False) as desk, trio.open_nursery() as nursery:
        ticket = await web.submit(hold())
        ended: list[TaskStatus] = []

        async def wait() -> None:
            ended.append((await ticket.wait()).status)

        nursery.start_soon(wait)
        with connected(crew.url) as connection:
            await until(lambda: len(listeners(connection)) == 1)
        await desk.cancel(ticket.task_id)
        await until(lambda: ended == [TaskStatus.CANCELLED])


@pytest.mark.usefixtures("no_polls")
async def test_a_pause_reaches_all_nodes_and_so_does_its_end(crew: Crew) -> None:
    async with crew.node() as first, crew.node() as second, crew.node(work=False) as web:
        await web.pause(lane="single")
        paused = {("lane", "single")}
        await until(lambda: all(app.running_node.running.paused == paused for app in (first, second)))
        tickets = [await web.submit(hold(name)) for name in "ab"]
        assert await (await web.submit(greet())).result() == "hello you"
        assert crew.started == []
        await web.resume(lane="single")
        await until(lambda: crew.running("a", "b"))
        crew.release.set()
        assert [await ticket.result() for ticket in tickets] == ["a", "b"]


@pytest.mark.usefixtures("no_polls")
async def test_events_of_one_task_are_heard_in_another_process(crew: Crew) -> None:
    async with crew.node(), crew.node(work=False) as web:
        await web.pause(lane="single")
        ticket = await web.submit(hold())
        async with ticket.events() as events:
            await hearing(web)
            await web.resume(lane="single")
            told = [event.type for event in await collect(events, TaskEventType.PROGRESS)]
            crew.release.set()
            told += [event.type for event in await collect(events, TaskEventType.COMPLETED)]
    if told[0] is not TaskEventType.STARTED:  # it may be folded into what came after it
        told.insert(0, TaskEventType.STARTED)
    assert told == [TaskEventType.STARTED, TaskEventType.PROGRESS, TaskEventType.COMPLETED]


@pytest.mark.usefixtures("no_polls")
async def test_what_is_put_off_by_a_process_that_does_not_work_comes_due_on_a_node(crew: Crew) -> None:
    async with crew.node(), crew.node(work=False) as web:
        ticket = await web.submit(greet(run_at=soon()))
        assert await ticket.result() == "hello you"


@pytest.mark.usefixtures("no_polls")
async def test_what_another_process_revives_runs_again_and_is_awaited_anew(crew: Crew) -> None:
    async with crew.node(), crew.node(work=False) as web, crew.node(work=False) as desk:
        ticket = await web.submit(greet())
        assert await ticket.result() == "hello you"
        again = await desk.retry(ticket.task_id)
        assert await again.result() == "hello you"
        assert (await again.task()).attempt == 2


# In a transaction of the user's own


@pytest.mark.usefixtures("no_polls")
async def test_enqueued_tasks_start_when_the_users_transaction_commits_and_not_before(crew: Crew) -> None:
    engine = create_engine(crew.url)
    async with crew.node() as worker:
        with engine.connect() as connection:
            worker.enqueue(connection, [hold("rolled back")])
            connection.rollback()
            tickets = worker.enqueue(connection, [hold("b"), greet(run_at=soon())])
            assert await (await worker.submit(greet())).result() == "hello you"
            assert await worker.get(tickets[0].task_id) is None
            connection.commit()
        await until(lambda: crew.running("b"))
        crew.release.set()
        assert [await ticket.result() for ticket in tickets] == ["b", "hello you"]
    engine.dispose()


@pytest.mark.usefixtures("no_polls")
async def test_enqueued_tasks_of_a_session_start_when_it_commits(crew: Crew) -> None:
    engine = create_engine(crew.url)
    async with crew.node() as worker:
        with Session(engine) as session:
            (ticket,) = worker.enqueue(session, [greet()])
            session.commit()
        assert await ticket.result() == "hello you"
    engine.dispose()


@pytest.mark.usefixtures("no_polls")
async def test_enqueued_tasks_of_an_async_session_start_when_it_commits(crew: Crew) -> None:
    import asyncio

    async def enqueue(app: TaskSystem) -> str:
        url = sqlalchemy.make_url(crew.url).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url, poolclass=NullPool)
        async with AsyncSession(engine) as session:
            (ticket,) = await session.run_sync(app.enqueue, [greet()])
            await session.commit()
        return ticket.task_id

    async with crew.node() as worker:
        task_id = await trio.to_thread.run_sync(lambda: asyncio.run(enqueue(worker)))
        assert await worker.ticket(task_id).result() == "hello you"


async def test_a_transaction_that_is_to_be_committed_in_two_phases_tells_nobody(crew: Crew) -> None:
    """PostgreSQL refuses to prepare one that has sent a NOTIFY. Most servers prepare none, so it is committed here."""
    engine = create_engine(crew.url)
    async with crew.node(work=False) as web:
        with connected(crew.url) as stranger, engine.connect() as connection:
            stranger.execute(f"LISTEN {CHANNEL}")
            with connection.begin_twophase() as transaction:
                (ticket,) = web.enqueue(connection, [greet()])
                connection.exec_driver_sql("COMMIT")
                transaction.rollback()
            assert [*stranger.notifies(timeout=0)] == []
        assert (await ticket.task()).status is TaskStatus.PENDING
    engine.dispose()


# Without it


@pytest.mark.parametrize("deaf", [False, True])
async def test_where_nothing_is_told_the_database_is_looked_at(
    crew: Crew, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deaf:
        monkeypatch.setattr("actors.system.listener.Ear", Deaf)
    monkeypatch.setattr("tests.app.crew.hearing", nothing)
    worker = partial(crew.node, notifications=deaf)
    async with worker() as first, worker(), worker(work=False) as desk:
        assert first.metrics().notifications is (False if deaf else None)
        assert await (await desk.submit(greet())).result() == "hello you"
        tickets = [await desk.submit(hold(name)) for name in "ab"]
        await until(lambda: crew.running("a", "b"))
        await desk.pause(task_type="greet")
        await until(lambda: first.running_node.running.paused == {("task_type", "greet")})
        await tickets[0].cancel()
        assert (await tickets[0].wait()).status is TaskStatus.CANCELLED
        async with tickets[1].events() as events:
            crew.release.set()
            assert (await collect(events, TaskEventType.COMPLETED))[-1].data["result_data"] == "b"
        assert first.metrics().notifications is (False if deaf else None)


async def nothing(_: TaskSystem) -> None: ...


class Deaf(Ear):
    """A connection behind a pooler, whose session others have."""

    def hear(self, other: int, seconds: float) -> list[str]:
        super().hear(other, seconds)
        return []


async def test_switched_off_nobody_listens_and_nothing_is_sent(crew: Crew) -> None:
    engine = create_engine(crew.url)
    with connected(crew.url) as stranger:
        stranger.execute(f"LISTEN {CHANNEL}")
        async with crew.node(notifications=False), crew.node(work=False, notifications=False) as web:
            assert await (await web.submit(greet())).result() == "hello you"
            with engine.begin() as connection:
                web.enqueue(connection, [greet()])
            with connected(crew.url) as looking:
                assert len(listeners(looking)) == 1  # the stranger
        assert [*stranger.notifies(timeout=0)] == []
    engine.dispose()


# Faults


@pytest.mark.usefixtures("no_polls")
async def test_what_was_told_while_a_listeners_session_was_killed_is_found_and_it_goes_on(crew: Crew) -> None:
    """The sessions of all listeners end again and again, at whatever moment."""
    async with crew.node() as worker, crew.node(work=False) as web:
        with connected(crew.url) as administrator:
            assert await (await web.submit(greet())).result() == "hello you"
            for _ in range(5):
                await until(lambda: len(listeners(administrator)) == 2)
                cut_off(administrator)
                ticket = await web.submit(greet())
                assert await ticket.result() == "hello you"
        for app in (worker, web):
            await hearing(app)


async def test_a_node_that_stops_hearing_looks_again_at_once(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    async with crew.node() as worker, crew.node(work=False) as web:
        with connected(crew.url) as administrator:
            monkeypatch.setattr("actors.system.listener.Ear", Deaf)
            cut_off(administrator)
            await until(lambda: worker.metrics().notifications is False)
            for _ in range(3):
                assert await (await web.submit(greet())).result() == "hello you"
            assert worker.metrics().notifications is False


async def test_a_storm_of_notifications_costs_a_node_few_looks(crew: Crew) -> None:
    async with crew.node() as worker:
        before = worker.metrics().mailboxes["storage"].handled
        with connected(crew.url) as stranger:
            told = "SELECT pg_notify(%s, 'nonsense ' || number) FROM generate_series(1, 20000) number"
            stranger.execute(told, (CHANNEL,))
        assert await (await worker.submit(greet())).result() == "hello you"
        await until(lambda: worker.metrics().mailboxes["storage"].handled > before)
        assert worker.metrics().mailboxes["storage"].handled - before < 2000


async def test_work_that_nobody_was_told_of_is_found_all_the_same(crew: Crew) -> None:
    async with crew.node(), crew.node(work=False, notifications=False) as mute:
        assert await (await mute.submit(greet())).result() == "hello you"


@pytest.mark.usefixtures("no_polls")
async def test_work_of_a_type_that_a_node_does_not_know_is_left_to_one_that_does(crew: Crew) -> None:
    """As in a rolling upgrade: the old node hears of the work too, and burns no attempt on it."""
    newer = Crew(crew.url)

    @newer.handlers.task
    async def novelty(name: str) -> str:
        return f"new {name}"

    async with crew.node() as old, newer.node(work=False) as web:
        ticket = await web.submit(TaskRequest("novelty", {"name": "thing"}))
        assert await (await web.submit(greet())).result() == "hello you"
        assert (await ticket.task()).attempt == 0
        async with newer.node() as new:
            assert await ticket.result() == "new thing"
            again = await old.submit_many([greet(str(number)) for number in range(3)])
            assert [await one.result() for one in again] == ["hello 0", "hello 1", "hello 2"]
            task = await ticket.task()
            assert (task.attempt, task.node) == (1, new.running_node.name)

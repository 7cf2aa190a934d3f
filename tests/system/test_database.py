"""Threads of our own with a connection each; and the same inline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.core.task import moment
from actors.kernel import Ask
from actors.store import nodes, schema
from actors.store.connection import Connection
from actors.store.engine import make_engine
from actors.system.database import ConnectionThread, InlineDatabase, ThreadedDatabase
from actors.system.heart import Heart, LookOut
from tests.system.world import MEMORY
from tests.waiting import until


def sql(text: str) -> Callable[[Connection], Any]:
    """An operation that runs *text*."""

    def run(connection: Connection) -> Any:
        result = connection.exec_driver_sql(text)
        return result.fetchall() if result.returns_rows else None

    return run


def fail(connection: Connection) -> None:
    """Write something, and then raise."""
    sql("INSERT INTO t VALUES (99)")(connection)
    raise ValueError("bad operation")


@pytest.fixture(params=["threaded", "inline"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(kind: str, url: str) -> ThreadedDatabase | InlineDatabase:
    return ThreadedDatabase(url) if kind == "threaded" else InlineDatabase(MEMORY)


async def test_each_write_is_a_transaction_and_errors_go_to_the_asker(kind: str, file_url: str) -> None:
    database = opened(kind, file_url)
    await database.write(sql("CREATE TABLE t (n INTEGER)"))
    await database.write(sql("INSERT INTO t VALUES (1)"))
    with pytest.raises(ValueError, match="bad operation"):
        await database.write(fail)
    ask: Ask[Any] = Ask()
    database.read(ask, sql("SELECT n FROM t"))
    assert await ask.reply.wait() == [(1,)]
    bad: Ask[Any] = Ask()
    database.read(bad, sql("SELECT missing"))
    with pytest.raises(Exception, match="no such column"):
        await bad.reply.wait()
    await database.close()


async def test_writes_go_in_the_order_in_which_they_were_asked_for(file_url: str) -> None:
    database, done = ThreadedDatabase(file_url), list[int]()
    async with trio.open_nursery() as nursery:
        for number in range(20):
            await trio.lowlevel.checkpoint()
            nursery.start_soon(database.write, lambda _, number=number: done.append(number))
            await wait_all_tasks_blocked()
    assert done == list(range(20))
    await database.close()


async def test_a_cancel_ends_the_waiting_and_the_transaction_comes_to_its_end(file_url: str) -> None:
    database = ThreadedDatabase(file_url)
    await database.write(sql("CREATE TABLE t (n INTEGER)"))
    token, begun, gate = trio.lowlevel.current_trio_token(), trio.Event(), threading.Event()

    def insert(connection: Connection) -> None:
        token.run_sync_soon(begun.set)
        gate.wait(10)
        sql("INSERT INTO t VALUES (1)")(connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, insert)
        await begun.wait()
        nursery.cancel_scope.cancel()
    gate.set()  # only now, when nobody waits any more
    assert await database.write(sql("SELECT n FROM t")) == [(1,)]
    await database.close()


async def test_closing_finishes_what_was_put(file_url: str) -> None:
    done: list[str] = []
    thread = ConnectionThread("writer", make_engine(file_url))
    gate = threading.Event()
    for job in (lambda _: gate.wait(5), lambda _: done.append("first"), lambda _: done.append("second")):
        thread.put(job, lambda *_: None)
    gate.set()
    thread.close()
    assert done == ["first", "second"]


async def test_a_thread_that_was_given_nothing_closes_too(file_url: str) -> None:
    ConnectionThread("idle", make_engine(file_url)).close()


async def test_timers_run_while_nothing_is_written_and_beside_what_is(file_url: str) -> None:
    database = ThreadedDatabase(file_url)
    ticks: list[int] = []
    token, enough = trio.lowlevel.current_trio_token(), trio.Event()

    def tick(_: Connection) -> float:
        ticks.append(len(ticks))
        if len(ticks) == 3:
            token.run_sync_soon(enough.set)
        return 0.001 if len(ticks) < 3 else 1000.0

    database.every(tick)
    await enough.wait()
    assert await database.write(lambda _: "done") == "done"
    assert ticks == [0, 1, 2]
    await database.close()


async def test_a_timer_that_fails_is_logged_and_tried_again(
    file_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actors.system.database.PAUSE_AFTER_FAULT", 0.001)
    database = ThreadedDatabase(file_url)
    token, again = trio.lowlevel.current_trio_token(), trio.Event()
    faults = [ValueError("no lease today")]

    def tick(_: Connection) -> float:
        if faults:
            raise faults.pop()
        token.run_sync_soon(again.set)
        return 1000.0

    database.every(tick)
    await again.wait()
    await database.close()
    assert "no lease today" in caplog.text


async def test_a_connection_that_was_lost_is_made_anew(file_url: str) -> None:
    database = ThreadedDatabase(file_url)

    def lose_it(connection: Connection) -> None:
        connection.invalidate()
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError):
        await database.write(lose_it)
    assert await database.write(sql("SELECT 1")) == [(1,)]
    await database.close()


async def test_the_heart_renews_the_lease_with_its_snapshot(file_url: str) -> None:
    database = ThreadedDatabase(file_url)
    await database.write(schema.create)
    await database.write(lambda connection: nodes.register(connection, "node-1", 100.0, 115.0, working=True))
    described, pauses = list[str](), list[float]()

    def describe() -> str:
        described.append("again")
        return '{"running":1}'

    heart = Heart("node-1", 15.0, lambda: 107.0, describe)
    heart.look()
    token, beat = trio.lowlevel.current_trio_token(), trio.Event()

    def tick(connection: Connection) -> float:
        pauses.append(heart.tick(connection))
        token.run_sync_soon(beat.set)
        return 1000.0

    database.every(tick)
    await beat.wait()
    (node,) = await database.write(lambda connection: nodes.known(connection, 107.0))
    assert (node.name, node.heartbeat_at, node.snapshot) == ("node-1", moment(107.0), {"running": 1})
    assert heart.beat_at == 107.0
    assert pauses == [2.0]
    await until(lambda: described == ["again"] * 2)  # for the next beat
    await database.close()


async def test_a_heart_that_beats_for_a_row_that_is_gone_says_so(file_url: str) -> None:
    database, missed = ThreadedDatabase(file_url), trio.Event()
    await database.write(schema.create)
    heart = Heart("nobody", 15.0, lambda: 107.0, lambda: "{}", every=0.5)
    heart.missed = missed.set
    database.every(heart.tick)
    await missed.wait()
    await database.close()


async def test_a_node_that_cannot_be_described_lives_on_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    texts = iter(['{"running":1}'])
    heart = Heart("node-1", 15.0, lambda: 107.0, lambda: next(texts))
    heart.look()
    heart.look()
    assert heart.snapshot == '{"running":1}'
    assert "could not be described" in caplog.text


class Watch:
    """A look-out on *database*, and whether it has called since it was last asked."""

    def __init__(self, database: ThreadedDatabase) -> None:
        self.pauses: list[float] = []
        self._database = database
        self._looks = 0
        self._look_out = LookOut(self._look)

    def _look(self) -> None:
        self._looks += 1

    async def called(self) -> bool:
        """Have it look; whether it called."""
        before = self._looks
        await self._database.write(lambda connection: self.pauses.append(self._look_out.tick(connection)))
        await wait_all_tasks_blocked()
        return self._looks > before


async def test_the_look_out_calls_first_and_then_for_the_commits_of_others_and_not_for_its_own(file_url: str) -> None:
    database, other = ThreadedDatabase(file_url), ThreadedDatabase(file_url)
    watch = Watch(database)
    assert await watch.called(), "what was written before the first look was missed"
    assert not await watch.called()
    await database.write(sql("CREATE TABLE mine (n INTEGER)"))
    assert not await watch.called()
    await other.write(sql("CREATE TABLE others (n INTEGER)"))
    assert await watch.called()
    assert watch.pauses == [0.05] * 4
    await database.close()
    await other.close()


class Wall:
    """The time that the look-out sees: *stepped* seconds are added to the wall's."""

    def __init__(self) -> None:
        self.stepped = 0.0
        self.steady = 0.0

    def time(self) -> float:
        return 1_700_000_000.0 + self.steady + self.stepped

    def monotonic(self) -> float:
        return self.steady


async def test_the_look_out_calls_when_the_wall_clock_steps_forward_and_once(
    file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall()
    monkeypatch.setattr("actors.system.heart.time", wall)
    database = ThreadedDatabase(file_url)
    watch = Watch(database)
    await watch.called()
    heard = []
    for steady, step in ((100.0, 0.0), (0.05, 0.5), (0.05, 3600.0), (0.05, 0.0), (0.05, -7200.0), (0.05, 0.0)):
        wall.steady += steady
        wall.stepped += step
        heard.append(await watch.called())
    assert heard == [False, False, True, False, False, False]
    await database.close()

"""What a transaction tells other processes of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import attrs

from actors.core.news import ANY, ENDS, ROWS, SUBJECTS, WORK, News, tail
from actors.core.outcome import Returned, decide
from actors.core.retry import RetryPolicy
from actors.store.connection import Connection
from actors.system.board import Word
from actors.system.news import news_of
from actors.system.transaction import Transaction, Write, run
from actors.system.writes import Cancel, Delete, Pause, Promote, Revive, SetProgress, Settle, Submit, Tell
from tests.system.world import AGING, World

NOTHING = News(by="me")


class Teller:
    """A node that does things in transactions, and says what they would tell."""

    def __init__(self, node: str = "node-1", *, working: bool = True) -> None:
        self.world = World()
        self.database = self.world.database()
        self.working = working

    async def tells(
        self,
        *writes: Write,
        wanted: Collection[str] = SUBJECTS,
        claims: bool = False,
        node: str = "node-1",
        after: float = 0.0,
    ) -> News:
        """The news of a transaction of *writes*, and with *claims* of what can be claimed then."""
        transaction = await self.does(*writes, claims=claims, node=node, after=after)
        return news_of(transaction, "me", lambda subject: subject in wanted, working=self.working)

    async def does(self, *writes: Write, claims: bool = False, node: str = "node-1", after: float = 0.0) -> Transaction:
        def operation(connection: Connection) -> Transaction:
            transaction = Transaction(connection, node, self.world.clock.wall() + after, AGING)
            run(transaction, writes, self.world.running.rooms() if claims else (), idle=True)
            return transaction

        return await self.database.write(operation)

    def submit(self, count: int = 1, **wishes: Any) -> Submit:
        return Submit([self.world.row(**wishes) for _ in range(count)])

    async def running(self, count: int = 1) -> Sequence[Any]:
        """Tasks that this node has claimed."""
        return (await self.does(self.submit(count), claims=True)).claimed


def tails(*task_ids: str) -> frozenset[str]:
    return frozenset(map(tail, task_ids))


async def test_what_a_node_starts_itself_is_no_news() -> None:
    teller = Teller()
    assert await teller.tells(teller.submit(3), claims=True, wanted={WORK, ENDS}) == NOTHING


async def test_what_it_has_no_room_for_is_told_by_its_lane() -> None:
    teller = Teller()
    assert await teller.tells(teller.submit(5), claims=True, wanted={WORK}) == attrs.evolve(NOTHING, work={"coroutine"})


async def test_nothing_is_told_of_work_and_ends_that_nobody_wants() -> None:
    teller = Teller()
    assert await teller.tells(teller.submit(50), claims=True, wanted=()) == NOTHING
    assert await teller.tells(teller.submit(1, delay=5.0), wanted=()) == NOTHING
    assert await teller.tells(Promote(), after=60.0, wanted=()) == NOTHING


async def test_what_was_submitted_before_is_not_told_again() -> None:
    teller = Teller()
    submit = teller.submit()
    await teller.does(submit)
    others = [row._replace(nonce=row.nonce + 1) for row in submit.rows]
    assert await teller.tells(Submit(others), wanted={WORK}) == NOTHING


async def test_what_is_put_off_is_told_by_who_does_not_see_to_it_himself() -> None:
    for working in (True, False):
        teller = Teller(working=working)
        submit = teller.submit(delay=60.0)
        due = None if working else submit.rows[0].due_at
        assert await teller.tells(submit) == attrs.evolve(NOTHING, due=due)


async def test_what_has_come_due_and_finds_no_room_is_told() -> None:
    teller = Teller()
    await teller.does(teller.submit(4, delay=5.0))
    assert await teller.tells(Promote(), claims=True, after=60.0, wanted={WORK}) == NOTHING
    await teller.does(teller.submit(1, delay=5.0))
    assert await teller.tells(Promote(), after=60.0, wanted={WORK}) == attrs.evolve(NOTHING, work={ANY})


async def test_what_is_given_back_is_told() -> None:
    teller = Teller()
    (task,) = await teller.running()
    change = decide(task, Returned(), RetryPolicy.none(), teller.world.clock.wall(), 0.5, 0.0)
    assert await teller.tells(Settle([change]), wanted={WORK, ENDS}) == attrs.evolve(NOTHING, work={ANY})


async def test_an_end_is_told_to_who_wants_ends_or_rows() -> None:
    for wanted in ((), {WORK}, {ENDS}, {ROWS}):
        teller = Teller()
        (task,) = await teller.running()
        tasks = tails(task.task_id) if wanted in ({ENDS}, {ROWS}) else ()
        settle = Settle([teller.world.finished(task)])
        assert await teller.tells(settle, wanted=wanted) == attrs.evolve(NOTHING, tasks=tasks)


async def test_starts_and_progress_are_told_to_who_wants_rows() -> None:
    for wanted in ({ENDS}, {ROWS}):
        teller = Teller()
        submit = teller.submit()
        (row,) = submit.rows
        tasks = tails(row.task_id) if wanted == {ROWS} else ()
        assert await teller.tells(submit, claims=True, wanted=wanted) == attrs.evolve(NOTHING, tasks=tasks)
        words = [Word(1, 1, row.task_id, row.task_type, '{"fraction": 0.5}')]
        assert await teller.tells(SetProgress(words), wanted=wanted) == attrs.evolve(NOTHING, tasks=tasks)


async def test_a_cancel_is_told_whoever_wants_to_hear_it() -> None:
    teller = Teller()
    submit = teller.submit()
    await teller.does(submit)
    waits = submit.rows[0].task_id
    assert await teller.tells(Cancel([waits]), wanted=()) == attrs.evolve(NOTHING, tasks=tails(waits))
    assert await teller.tells(Cancel([waits]), wanted=()) == NOTHING  # it has ended
    (task,) = await teller.running()
    news = await teller.tells(Cancel([task.task_id]), wanted=(), node="node-2")
    assert news == attrs.evolve(NOTHING, cancelled={"node-1"}, tasks=tails(task.task_id))
    assert not (await teller.tells(Cancel([task.task_id]), wanted=())).cancelled  # it runs here


async def test_a_pause_is_told_whoever_wants_to_hear_it() -> None:
    teller = Teller()
    for on in (True, False):
        assert await teller.tells(Pause("lane", "x", on), wanted=()) == attrs.evolve(NOTHING, paused=True)


async def test_revivals_and_removals_are_told_whoever_wants_to_hear_them() -> None:
    teller = Teller()
    submit = teller.submit()
    task_id = submit.rows[0].task_id
    await teller.does(submit, Cancel([task_id]))
    assert await teller.tells(Revive([task_id], 1), wanted=()) == attrs.evolve(NOTHING, tasks=tails(task_id))
    await teller.does(Cancel([task_id]))
    assert await teller.tells(Revive([task_id], 2), wanted={WORK}) == attrs.evolve(
        NOTHING, work={ANY}, tasks=tails(task_id)
    )
    await teller.does(Cancel([task_id]))
    assert await teller.tells(Delete([task_id]), wanted=()) == attrs.evolve(NOTHING, tasks={ANY})


async def test_what_a_node_has_to_say_goes_along() -> None:
    teller = Teller()
    tell = Tell(News("me", wants={ENDS}))
    assert await teller.tells(Pause("lane", "x", True), tell) == attrs.evolve(NOTHING, paused=True, wants={ENDS})

"""A store seen by one node: each call stores its own tally, as a transaction of the writer does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar
from uuid import UUID

import attrs
from sqlalchemy import Connection, func, select, update

from actors.core.lifecycle import Transition
from actors.core.outcome import AttemptOutcome, Change
from actors.core.priority import rank
from actors.core.request import Claimed, NewTask, Receipt
from actors.core.task import ErrorInfo, Order, Task, TaskStatus, moment
from actors.store import claim, cleanup, leases, pages, revive, rollups, schema, settle, steer, tasks, views
from actors.store.views import Filter

T = TypeVar("T")
NOW = 1_700_000_000.0
AGING = 60.0
PLENTY = 1000
TYPES = ("mail", "report", "resize")
KEPT_AS = {
    Transition.COMPLETE: None,
    Transition.FAIL: AttemptOutcome.FAILED,
    Transition.TIME_OUT: AttemptOutcome.TIMED_OUT,
    Transition.CANCEL: AttemptOutcome.CANCELLED,
    Transition.RETRY: AttemptOutcome.FAILED,
    Transition.SNOOZE: AttemptOutcome.SNOOZED,
    Transition.GIVE_BACK: AttemptOutcome.RETURNED,
}
ERRS = {Transition.FAIL, Transition.TIME_OUT, Transition.RETRY}


class World:
    """What a node does to the store, at a time that the test sets."""

    def __init__(self, connection: Connection, node: str = "node-1", now: float = NOW) -> None:
        self.connection = connection
        self.node = node
        self.now = now
        self._numbers = itertools.count(1)

    def new(self, task_type: str = "mail", due: float | None = None, **values: Any) -> NewTask:
        """A task that nobody has stored yet, due now."""
        number, due = next(self._numbers), self.now if due is None else due
        priority = values.get("priority", 5)
        wanted: dict[str, Any] = {
            "task_id": str(UUID(int=number)), "task_type": task_type, "lane": "coroutine", "mode": "coroutine",
            "status": "pending", "priority": priority, "key": None, "nonce": number, "input_data": "{}",
            "metadata": None, "created_at": self.now, "due_at": due, "expires_at": None, "max_retries": 3,
            "timeout_seconds": 300.0, "soft_timeout_seconds": None,
            "rank": rank(due, priority, AGING) if due <= self.now else None,
        }  # fmt: skip
        return NewTask(**(wanted | values))

    def counted(self, operation: Callable[[rollups.Tally], T]) -> T:
        """Run *operation* and store what it counted."""
        tally = rollups.Tally(self.node, self.now)
        answer = operation(tally)
        tally.store(self.connection)
        return answer

    def submit(self, *rows: NewTask) -> list[Receipt]:
        return self.counted(lambda tally: tasks.submit(self.connection, rows, tally))

    def submitted(self, *types: str, **values: Any) -> list[str]:
        """The ids of new tasks, one for each of *types*."""
        return [receipt.task_id for receipt in self.submit(*(self.new(name, **values) for name in types))]

    def claim_all(self, *rooms: claim.Room, idle: bool = False) -> claim.Claim:
        wanted = rooms or (room(),)
        return self.counted(
            lambda tally: claim.claim(self.connection, wanted, self.node, self.now, AGING, tally, idle=idle)
        )

    def claim(self, *rooms: claim.Room, idle: bool = False) -> list[Claimed]:
        return self.claim_all(*rooms, idle=idle).tasks

    def running(self, count: int = 1, **values: Any) -> list[Claimed]:
        """*count* new tasks, claimed."""
        self.submit(*(self.new(**values) for _ in range(count)))
        claimed = self.claim(room(PLENTY), idle=True)
        assert len(claimed) == count
        return claimed

    def change(self, row: Claimed, transition: Transition, **values: Any) -> Change:
        """What *row*'s attempt came to."""
        change = Change(
            row.seq, row.attempt, row.task_id, row.task_type, transition, self.now, row.started_at, 0.25,
            result='"done"' if transition is Transition.COMPLETE else None,
            error=self.error(row) if transition in ERRS else None,
            due_at=self.now + 10 if transition in (Transition.RETRY, Transition.SNOOZE) else None,
            outcome=KEPT_AS[transition],
        )  # fmt: skip
        return attrs.evolve(change, **values)

    def error(self, row: Claimed, error_type: str = "ValueError") -> ErrorInfo:
        return ErrorInfo(error_type, "no such user", "Traceback …", row.attempt, moment(self.now))

    def settle(self, *changes: Change) -> list[settle.Settled]:
        return self.counted(lambda tally: settle.settle(self.connection, changes, self.node, AGING, tally))

    def cancel(self, *task_ids: str) -> list[steer.Cancelled]:
        return self.counted(lambda tally: steer.cancel(self.connection, task_ids, self.now, tally))

    def expire(self, most: int = 500) -> list[steer.Expired]:
        return self.counted(lambda tally: steer.expire(self.connection, self.now, tally, most))

    def cleanup(self, completed_before: float, failed_before: float, most: int = 500) -> int:
        return self.counted(
            lambda tally: cleanup.cleanup(self.connection, completed_before, failed_before, tally, most)
        )

    def recover(self, started: Collection[tuple[int, int]] = ()) -> list[leases.Recovered]:
        return self.counted(lambda tally: leases.recover(self.connection, started, self.now, AGING, tally))

    def give_back(self, *attempts: tuple[int, int]) -> list[int]:
        return self.counted(lambda tally: leases.give_back(self.connection, attempts, self.now, AGING, tally))

    def revive(
        self, *task_ids: str, nonce: int = -1, states: Collection[TaskStatus] = revive.REVIVABLE
    ) -> list[revive.Revival]:
        def revived(tally: rollups.Tally) -> list[revive.Revived]:
            return revive.revive(self.connection, task_ids, nonce, self.now, AGING, tally, states)

        return [one.result for one in self.counted(revived)]

    def remove(self, *task_ids: str) -> list[tuple[str, str]]:
        found = self.counted(lambda tally: cleanup.remove(self.connection, task_ids, tally))
        return [(one.task_id, one.status.value) for one in found]

    def promote(self, most: int = 1000) -> int:
        return claim.promote(self.connection, self.now, AGING, most)

    def get(self, task_id: str) -> Task:
        task = views.get(self.connection, task_id)
        assert task is not None
        return task

    def page(
        self, order: Order, which: Filter | None = None, limit: int = PLENTY, after: str | None = None
    ) -> list[str]:
        """The ids of a page of tasks."""
        found = pages.page(self.connection, which or Filter(), order, limit, after, AGING)
        return [task.task_id for task in found]

    def statuses(self, task_ids: Sequence[str]) -> list[str]:
        return [self.get(task_id).status.value for task_id in task_ids]

    def ids_left(self) -> set[str]:
        return {task_id for (task_id,) in self.connection.execute(select(schema.task.c.task_id))}

    def set(self, task_id: str, **values: Any) -> None:
        """Write into a row behind the store's back."""
        self.connection.execute(update(schema.task).where(schema.task.c.task_id == task_id).values(values))

    def gauges(self) -> dict[str, int]:
        """The counters' view of how many tasks are in each state, those of none left out."""
        return {name: n for name, n in rollups.by_status(self.connection).items() if n}

    def counts(self) -> dict[str, int]:
        """The same, counted in the table."""
        query = select(schema.task.c.status, func.count()).group_by(schema.task.c.status)
        return {row[0]: row[1] for row in self.connection.execute(query)}

    def counts_by_type(self) -> dict[str, int]:
        """How many rows there are of each type."""
        query = select(schema.task.c.task_type, func.count()).group_by(schema.task.c.task_type)
        return {row[0]: row[1] for row in self.connection.execute(query)}


def room(slots: int = PLENTY, lane: str = "coroutine", **types: int) -> claim.Room:
    """Room for *slots* tasks of the types that tests use, or of *types* alone."""
    return claim.Room(lane, slots, types or dict.fromkeys(TYPES, PLENTY))


def ids(claimed: Sequence[Claimed]) -> list[str]:
    """The task ids, in their order."""
    return [row.task_id for row in claimed]

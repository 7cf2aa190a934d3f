"""Worker, one per lane: starts attempts, and sees their outcomes into the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import attrs
import trio

from ..core.errors import StorageUnavailable
from ..core.outcome import Cancelled, Change, Finished, Outcome, Returned, decide
from ..core.request import Claimed
from ..core.retry import RetryPolicy
from ..execution.attempt import Attempt, Instant
from ..execution.surroundings import Surroundings
from ..kernel import Actor, ActorCrashed, ActorStopped, Handle
from .board import Board
from .clock import Clock
from .messages import Failed, LookAtOutbox, MonitorMessage, Run, StorageMessage, Stuck, WorkerMessage
from .running import LAST_WAIT, Lane, Running
from .writes import SetProgress, Settle

REPEAT_AFTER: Final = 5.0
"""Seconds after which an outcome that is not confirmed is sent again."""
NO_RETRY: Final = RetryPolicy.none()
UNTRIED: Final = (Finished, Cancelled, Returned)
"""What no policy is asked about. (A union would be made anew for each outcome.)"""


@attrs.frozen
class Tools:
    """What Workers of all lanes share."""

    clock: Clock
    running: Running
    board: Board
    surroundings: Surroundings
    storage: Handle[StorageMessage]
    retry: Handle[Failed]
    monitor: Handle[MonitorMessage]


@attrs.frozen
class Sent:
    """An outcome on its way to the database."""

    at: float
    attempt: Attempt
    outcome: Outcome


class Outbox:
    """What was sent and is not confirmed, oldest first. It outlives the Worker."""

    def __init__(self) -> None:
        self.sent: dict[int, Sent] = {}


class Worker(Actor[WorkerMessage]):
    """Owns the slots of one lane. Attempts and the outbox outlive it."""

    def __init__(self, lane: Lane, outbox: Outbox, tools: Tools, me: Handle[WorkerMessage]) -> None:
        self._lane = lane
        self._outbox = outbox
        self._tools = tools
        self._me = me

    async def started(self) -> None:
        """Begin what an earlier life was to begin and did not, and look at what ended while there was no Worker."""
        self._lane.look = lambda: self._me.hint(LookAtOutbox())
        self._start([task for task in self._tools.running.unstarted.values() if task.lane == self._lane.name])
        await self._send_outcomes()

    async def receive(self, batch: Sequence[WorkerMessage]) -> None:
        for message in batch:
            match message:
                case Run(tasks):
                    self._start(tasks)
                case LookAtOutbox():
                    pass  # every batch looks at the outbox
        await self._send_outcomes()

    def wake_at(self) -> float:
        self._drop_confirmed()
        first = next(iter(self._outbox.sent.values()), None)
        return math.inf if first is None else first.at + REPEAT_AFTER

    async def wake(self) -> None:
        """Send again what is not confirmed; the fence makes that harmless."""
        now = trio.current_time()
        late = [sent for sent in self._outbox.sent.values() if sent.at + REPEAT_AFTER <= now]
        await self._send([(sent.attempt, sent.outcome) for sent in late])

    async def stopped(self) -> None:
        """Drain: wait for the grace time, then force what still runs, and see every outcome stored."""
        running = self._tools.running
        with suppress(ActorStopped), trio.move_on_at(running.stop_at or trio.current_time()):
            await self._until(lambda: not self._lane.running, running.hurry)
        if self._lane.running:  # else this lane is done, and others may have their grace time yet
            with suppress(ActorStopped), trio.move_on_at(running.begin_hard_stop()):
                await self._until(lambda: not self._lane.running)
        for attempt in list(self._lane.running.values()):
            running.leave_behind(attempt)
        with suppress(ActorStopped, ActorCrashed, StorageUnavailable), trio.move_on_after(LAST_WAIT):
            await self._send_outcomes()
            if self._outbox.sent:
                await self._tools.storage.ask(Settle(()))  # its answer comes after those of all that was told before

    async def _until(self, done: Callable[[], bool], hurry: trio.Event | None = None) -> None:
        """Send outcomes as they come, until *done* or *hurry*."""
        ended = trio.Event()
        self._lane.look = lambda: ended.set()
        await self._send_outcomes()
        while not done() and not (hurry is not None and hurry.is_set()):
            await first_of(ended, hurry)
            ended = trio.Event()
            await self._send_outcomes()

    def _start(self, tasks: Sequence[Claimed]) -> None:
        running, now = self._tools.running, Instant(trio.current_time(), self._tools.clock.wall())
        waiting = {attempt.task.seq for attempt, _ in self._lane.outbox}
        new = [self._attempt(task, now) for task in tasks if task.seq not in waiting and self._is_new(task)]
        new = [attempt for attempt in new if self._may_begin(attempt)]
        if running.stop_at is not None:
            for attempt in new:
                running.end(attempt, Returned())
            return
        running.deadlines.watch(new)
        running.deadlines.tidy(len(running.leased))
        for attempt in new:
            running.start(attempt)

    def _is_new(self, task: Claimed) -> bool:
        """Whether this attempt is leased and was not started before: the same order may come twice."""
        sent = self._outbox.sent.get(task.seq)
        return (
            self._tools.running.leased.get(task.seq) == task.attempt
            and task.seq not in self._lane.running
            and (sent is None or sent.attempt.task.attempt != task.attempt)
        )

    def _may_begin(self, attempt: Attempt) -> bool:
        """Whether its task was not cancelled on the way here; if it was, that is its outcome."""
        running, seq = self._tools.running, attempt.task.seq
        running.unstarted.pop(seq, None)
        if seq not in running.cancelled:
            return True
        running.cancelled.discard(seq)
        running.end(attempt, Cancelled())
        return False

    def _attempt(self, task: Claimed, now: Instant) -> Attempt:
        tools = self._tools
        handler = tools.running.handlers[task.task_type]
        attempt = Attempt(task, handler, self._lane.limiter, tools.surroundings, now)
        self._lane.running[task.seq] = attempt
        return attempt

    async def _send_outcomes(self) -> None:
        """Empty the outbox; each entry leaves it when it is told to someone."""
        self._drop_confirmed()
        outbox = self._lane.outbox
        while outbox:
            batch = list(outbox)
            await self._send(batch)
            for _ in batch:
                outbox.popleft()

    async def _send(self, ended: Sequence[tuple[Attempt, Outcome]]) -> None:
        now, wall = trio.current_time(), self._tools.clock.wall()
        changes: list[Change] = []
        failed: list[tuple[Attempt, Outcome]] = []
        for attempt, outcome in ended:
            self._outbox.sent.pop(attempt.task.seq, None)
            self._outbox.sent[attempt.task.seq] = Sent(now, attempt, outcome)
            if attempt.still_runs:
                self._tools.monitor.hint(Stuck(attempt))
            if isinstance(outcome, UNTRIED):
                changes.append(decide(attempt.task, outcome, NO_RETRY, wall, attempt.seconds, 0.0))
            else:
                failed.append((attempt, outcome))
        last_words = self._tools.board.take([attempt for attempt, _ in ended])
        if last_words:
            await self._tools.storage.tell(SetProgress(last_words))
        if changes:
            await self._tools.storage.tell(Settle(changes))
        if failed:
            await self._tools.retry.tell(Failed(failed))

    def _drop_confirmed(self) -> None:
        """An outcome is stored when its lease is gone; they are confirmed roughly in the order of sending."""
        leased, sent = self._tools.running.leased, self._outbox.sent
        confirmed = []
        for seq, item in sent.items():
            if leased.get(seq) == item.attempt.task.attempt:
                break
            confirmed.append(seq)
        for seq in confirmed:
            del sent[seq]


async def first_of(event: trio.Event, other: trio.Event | None) -> None:
    """Wait for either."""
    if other is None:
        await event.wait()
        return
    async with trio.open_nursery() as nursery:

        async def wait_for(one: trio.Event) -> None:
            await one.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait_for, event)
        nursery.start_soon(wait_for, other)

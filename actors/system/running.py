"""The shared table of what runs on this node. It outlives every actor, and is what they rebuild themselves from."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

import trio

from ..core.outcome import Outcome, Returned
from ..core.request import Claimed
from ..core.stop import StopReason
from ..execution.attempt import Attempt
from ..execution.handler import Handler
from ..execution.process.pace import Pace
from ..store.claim import Room
from .deadlines import Deadlines
from .recorder import Recorder

logger = logging.getLogger("actors.system")

UNLIMITED = 1 << 31
LAST_WAIT = 2.0
"""Seconds that a stop waits for attempts after their hard stage, and for their outcomes to be stored."""


def _warn(stuck: Attempt) -> None:
    words = "%r runs on though it was stopped; what it returns will be dropped. It is here:\n%s"
    logger.warning(words, stuck, stuck.stack(), extra=stuck.task.names)


def ignore() -> None:
    """Nobody listens yet."""


class Lane:
    """A named pool of slots, what runs in them, and the outcomes that are not stored yet.

    Args:
        pace: of handlers in processes: several calls of a small type share a slot.

    Attributes:
        taken: claimed tasks that have not ended, whether the Worker has started them or has yet to hear of them.
        in_processes: those of them whose handlers run in processes, by type.
        outbox: outcomes that the Worker has not looked at.
        stuck: attempts that ran on past their hard stage; each frees its slot, for as many as the lane has slots.
        look: hints the lane's Worker that the outbox is no longer empty.
    """

    def __init__(self, name: str, slots: int, pace: Pace) -> None:
        self.name = name
        self.slots = slots
        self.taken = 0
        self.in_processes: Counter[str] = Counter()
        self._pace = pace
        self.running: dict[int, Attempt] = {}
        self.outbox: deque[tuple[Attempt, Outcome]] = deque()
        self.stuck: set[Attempt] = set()
        self.limiter = trio.CapacityLimiter(2 * slots)
        self.look: Callable[[], object] = ignore

    def free(self) -> int:
        """How many attempts can start now, if each takes a slot of its own."""
        taken = self.taken
        if self.in_processes and self._pace.depths:
            taken += self._pace.slots_of(self.in_processes) - self.in_processes.total()
        return self.slots - taken - max(0, len(self.stuck) - self.slots)


class Running:
    """All lanes of this node, and what is leased to it.

    Attributes:
        leased: seq → attempt of every claimed task whose outcome is not stored. A Worker starts nothing else, and
            repeats an outcome until its seq is gone from here.
        unstarted: seq → those of them that no Worker has begun; they may be on the way to one.
        cancelled: the seqs among these that must not begin any more.
        short_of_memory: whether nothing may start for want of it.
        paused: ("lane" or "task_type", name) of what may not start.
        stop_at: on trio's clock, the end of the grace time of a shutdown; None while there is none.
        look_for_room: hints the Scheduler that a slot has come free with nothing to store: that of a stuck attempt.
            Any other slot comes free with an outcome, and the transaction that stores it looks at the room too.
    """

    def __init__(
        self, lanes: Mapping[str, int], handlers: Mapping[str, Handler], recorder: Recorder, pace: Pace | None = None
    ) -> None:
        self._pace = pace or Pace()
        self.lanes = {name: Lane(name, slots, self._pace) for name, slots in lanes.items()}
        self.handlers = handlers
        self.recorder = recorder
        self.leased: dict[int, int] = {}
        self.unstarted: dict[int, Claimed] = {}
        self.cancelled: set[int] = set()
        self.by_type: Counter[str] = Counter()
        self.alone = 0
        self.short_of_memory = False
        self.deadlines = Deadlines()
        self.paused: frozenset[tuple[str, str]] = frozenset()
        self.stop_at: float | None = None
        self.hurry = trio.Event()
        self.quiet = trio.Event()
        self._hard_at: float | None = None
        self._places: dict[Attempt, int] = {}
        self.look_for_room: Callable[[], object] = ignore

    def attempts(self) -> Iterable[Attempt]:
        """Every attempt whose outcome is not known yet."""
        for lane in self.lanes.values():
            yield from list(lane.running.values())

    @property
    def idle(self) -> bool:
        """Whether no handler runs here and none is about to."""
        return not self.leased

    def rooms(self) -> list[Room]:
        """What can start now, by lane and type."""
        if self.stop_at is not None or self.alone or self.short_of_memory:
            return []
        paused, depths = self.paused, dict(self._pace.depths)
        types = {
            name: self._left(handler) for name, handler in self.handlers.items() if ("task_type", name) not in paused
        }
        return [
            Room(lane.name, max(0, lane.free()), types, depths)
            for lane in self.lanes.values()
            if ("lane", lane.name) not in paused
        ]

    def _left(self, handler: Handler) -> int:
        most = handler.max_concurrency
        return UNLIMITED if most is None else max(0, most - self.by_type[handler.task_type])

    def take(self, tasks: Iterable[Claimed]) -> None:
        """Note new leases."""
        for task in tasks:
            self.leased[task.seq] = task.attempt
            self.unstarted[task.seq] = task
            self.by_type[task.task_type] += 1
            self.lanes[task.lane].taken += 1
            if task.task_type in self._pace.types:
                self.lanes[task.lane].in_processes[task.task_type] += 1
            self.alone += task.alone

    def release(self, task: Claimed) -> None:
        """A slot is free again; the lease stays until the outcome is stored."""
        self.by_type[task.task_type] -= 1
        self.lanes[task.lane].taken -= 1
        if task.task_type in self._pace.types:
            self.lanes[task.lane].in_processes[task.task_type] -= 1
        self.alone -= task.alone

    def settle(self, seq: int, attempt: int) -> None:
        """End a lease, if it is still that of *attempt*: its outcome is stored."""
        if self.leased.get(seq) == attempt:
            del self.leased[seq]
            self.cancelled.discard(seq)

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take an attempt's outcome, once; a second end is that of a stuck one."""
        lane = self.lanes[attempt.task.lane]
        if attempt.over:
            lane.stuck.discard(attempt)
            self._forget(attempt)
            self.look_for_room()
            return
        attempt.close()
        lane.running.pop(attempt.task.seq, None)
        self.release(attempt.task)
        if attempt.still_runs:
            lane.stuck.add(attempt)
            _warn(attempt)
        lane.outbox.append((attempt, outcome))
        if len(lane.outbox) == 1:
            lane.look()

    def end_late(self, attempt: Attempt) -> None:
        """A thread that was left behind has ended."""
        self.end(attempt, Returned())

    def leave_behind(self, attempt: Attempt) -> None:
        """Say that an attempt does not stop, and where it is; then record it without its consent."""
        if not attempt.over:
            _warn(attempt)
        self.abandon(attempt)

    def abandon(self, attempt: Attempt) -> None:
        """Record an attempt that is not waited for any longer; it counts as stuck until it ends."""
        if not attempt.over:
            self.end(attempt, attempt.cut_off())
            self.lanes[attempt.task.lane].stuck.add(attempt)

    def start(self, attempt: Attempt) -> None:
        """Give *attempt* a trio task of its own.

        It is a system task, because a nursery could not be left while a handler shields itself from cancellation,
        and leaving has a bound. What a nursery would do is done here: its scope is shielded, so that whatever cancels
        the service reaches it through the stages of a shutdown; `run` lets no exception out; and the Workers' stop
        waits for it. It starts with fresh context variables, and Ctrl-C does not strike it but the service's body.
        """
        trio.lowlevel.spawn_system_task(self._run, attempt, name=attempt.task.task_type)

    async def _run(self, attempt: Attempt) -> None:
        self._places[attempt] = self.recorder.enter(attempt.task.seq, attempt.task.attempt)
        try:
            outcome = await attempt.run()
        except BaseException as error:  # it would end the whole program: this is a system task
            outcome = attempt.unexplained(error)
        attempt.tell(outcome)
        if not attempt.still_runs:
            self._forget(attempt)
        self.end(attempt, outcome)

    def _forget(self, attempt: Attempt) -> None:
        """Its handler has ended, whoever waited for it."""
        place = self._places.pop(attempt, None)
        if place is not None:
            self.recorder.leave(place)
        if not self._places:
            self.quiet.set()

    async def end_all(self) -> None:
        """The last step of a stop that was not orderly: no handler may outlive the system, if it can be helped."""
        given_up_at = self.begin_hard_stop()
        for attempt in self.attempts():
            self.abandon(attempt)
        if self._places:
            self.quiet = trio.Event()
            with trio.CancelScope(shield=True), trio.move_on_at(given_up_at):
                await self.quiet.wait()

    def begin_stop(self, stop_at: float) -> None:
        """The soft stage for all that runs; *stop_at* on trio's clock is when the hard one comes."""
        if self.stop_at is None:
            self.stop_at = stop_at
            for attempt in self.attempts():
                attempt.stop(StopReason.SHUTDOWN)

    def begin_hard_stop(self) -> float:
        """The hard stage for all that runs, in every lane at once; until when it is waited for, on trio's clock."""
        if self._hard_at is None:
            self._hard_at = trio.current_time()
            for attempt in self.attempts():
                attempt.force(StopReason.SHUTDOWN)
        return self._hard_at + LAST_WAIT

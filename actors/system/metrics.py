"""Live figures: counts of the last minute, durations, resources. No I/O but what the system says of this process."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Final

import attrs
import psutil

from ..core.duration import bucket, quantile
from ..core.lifecycle import Transition
from ..kernel import ChildSnapshot
from ..store.settle import Settled
from .transaction import Transaction

WINDOW: Final = 60
SAMPLE_EVERY: Final = 1.0


@attrs.frozen
class LaneMetrics:
    """One lane.

    Attributes:
        slots: how many attempts may run at once.
        running: attempts that run.
        free: slots that are free.
        stuck: attempts that were stopped and do not end.
    """

    slots: int
    running: int
    free: int
    stuck: int


@attrs.frozen
class Latency:
    """How long the completed attempts of a type ran, in seconds, to 4 %.

    Attributes:
        count: how many there were since this node started.
        p50: half of them took no longer.
        p95: 95 % took no longer.
        p99: 99 % took no longer.
    """

    count: int
    p50: float
    p95: float
    p99: float


@attrs.frozen
class SystemResources:
    """What this process uses.

    Attributes:
        cpu_usage_percent: 100 is one CPU.
        memory_usage_mb: resident memory, in units of a million bytes.
        memory_percent: of the machine's memory.
        threads: how many the process has.
        age_seconds: how long ago it was sampled.
    """

    cpu_usage_percent: float
    memory_usage_mb: float
    memory_percent: float
    threads: int
    age_seconds: float


@attrs.frozen(kw_only=True)
class Metrics:
    """The node now.

    Attributes:
        running_tasks: attempts that run on this node.
        running_by_type: the same by task type, without those that have none.
        lanes: slots and what fills them, by lane.
        rates: tasks per second over the last minute, or since the start if that is shorter.
        latencies: how long attempts take, by task type.
        mailboxes: each actor's mailbox, restarts and state, by its name.
        events_lost: events that the subscribers of now were too slow for.
        system_resources: what this process uses.
        memory_limit_mb: above 80 % of it, its children counted, this node claims nothing more; None: there is no limit.
        claims_paused: whether it claims nothing more because of that.
        notifications: whether it hears at once of what other processes do; False: it looks twice a second for it; None:
            that is switched off, or there is no server that would tell.
    """

    running_tasks: int
    running_by_type: Mapping[str, int]
    lanes: Mapping[str, LaneMetrics]
    rates: Mapping[str, float]
    latencies: Mapping[str, Latency]
    mailboxes: Mapping[str, ChildSnapshot]
    events_lost: int
    system_resources: SystemResources
    memory_limit_mb: float | None = None
    claims_paused: bool = False
    notifications: bool | None = None


class Meter:
    """Counts by second for the last minute, and durations by task type. It outlives the Monitor.

    Args:
        now: seconds on trio's clock.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=WINDOW)
        self._durations: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def count(self, transaction: Transaction, now: float) -> None:
        """Add what a transaction did."""
        counts = self._second(int(now))
        counts["submitted"] += len(transaction.submitted)
        counts["started"] += len(transaction.claimed)
        counts["revived"] += len(transaction.revived)
        for change, result in transaction.settled:
            if result is Settled.STORED:
                counts[change.transition.value] += 1
                if change.transition is Transition.COMPLETE:
                    self._durations[change.task_type][bucket(change.seconds)] += 1
            elif result is Settled.FENCED:
                counts["fenced"] += 1

    def _second(self, now: int) -> Counter[str]:
        if not self._seconds or self._seconds[-1][0] != now:
            self._seconds.append((now, Counter()))
        return self._seconds[-1][1]

    def reset(self, now: float) -> None:
        """Begin anew."""
        self._since = now
        self._seconds.clear()
        self._durations.clear()

    def rates(self, now: float) -> dict[str, float]:
        """What happened a second: submitted, started, completed, failed, timed_out, retried, cancelled …"""
        names = {"complete": "completed", "fail": "failed", "time_out": "timed_out", "retry": "retried",
                 "cancel": "cancelled", "snooze": "snoozed", "give_back": "returned"}  # fmt: skip
        total: Counter[str] = Counter()
        for second, counts in self._seconds:
            if second > now - WINDOW:
                total.update(counts)
        span = max(1.0, min(WINDOW, now - self._since))
        return {names.get(name, name): count / span for name, count in total.items() if count}

    def latencies(self) -> dict[str, Latency]:
        """By task type."""
        return {
            name: Latency(counts.total(), quantile(counts, 0.5), quantile(counts, 0.95), quantile(counts, 0.99))
            for name, counts in self._durations.items()
        }


class Resources:
    """This process, sampled at most once a second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._at = float("-inf")
        self._sample = (0.0, 0.0, 0.0, 0)

    def look(self, now: float) -> SystemResources:
        """The latest sample, at *now* on trio's clock."""
        if now - self._at >= SAMPLE_EVERY:
            with self._process.oneshot():
                memory = self._process.memory_info().rss / 1e6
                self._sample = (
                    self._process.cpu_percent(), memory, self._process.memory_percent(), self._process.num_threads(),
                )  # fmt: skip
            self._at = now
        return SystemResources(*self._sample, age_seconds=now - self._at)

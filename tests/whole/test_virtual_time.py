"""Hours and days in virtual time, in memory, in one thread: the same story in the same order every time."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from actors import DeclaredTask, RetryPolicy, RetryStrategy, Settings, Snooze, TaskContext, TaskEvent, TaskSystem
from actors.system import supervisor
from actors.system.clock import Chance

HOUR = 3600.0
DAY = 24 * HOUR


@attrs.define
class Ledger:
    """What happened, and how many tasks were stored at which time."""

    _heard: list[TaskEvent] = attrs.field(factory=list, init=False)
    names: dict[str, str] = attrs.field(factory=dict)
    begun: float = 0.0
    kept: dict[str, int] = attrs.field(factory=dict)

    def hear(self, event: TaskEvent) -> None:
        self._heard.append(event)

    @property
    def lines(self) -> list[tuple[str, str, int, float]]:
        """The event, the task's name, its attempt, and the second since the beginning."""
        return [
            (event.type.value, self.names[event.task_id], event.attempt, abs(round(_seconds(event) - self.begun, 1)))
            for event in self._heard
        ]

    def of(self, name: str) -> list[tuple[str, float]]:
        return [(kind, at) for kind, who, _, at in self.lines if who == name]

    def started(self, name: str) -> list[float]:
        return [at for kind, at in self.of(name) if kind == "started"]


def _seconds(event: TaskEvent) -> float:
    return event.at.timestamp()


class Scenario:
    """Ten days of tasks that fail, time out, snooze, expire and wait for each other."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        settings = Settings(lanes={"narrow": 1}, cleanup_days=2, failed_cleanup_days=5, default_timeout=None)
        self.app = TaskSystem("sqlite:///:memory:", settings=settings)
        hourly = RetryPolicy(strategy=RetryStrategy.LINEAR, base_delay=HOUR, max_delay=DAY, jitter=False)
        jittered = RetryPolicy(base_delay=60.0, max_delay=HOUR)
        declare = self.app.register_handler
        self.fails = declare("fails", self._fails, retry=hourly)
        self.flutters = declare("flutters", self._fails, retry=jittered)
        self.hangs = declare("hangs", self._hangs, timeout=HOUR, soft_timeout=HOUR / 2, max_retries=1, retry=hourly)
        self.snoozes = declare("snoozes", self._snoozes)
        self.works = declare("works", self._works, lane="narrow")
        self.app.on_event(self.ledger.hear)

    async def _fails(self, context: TaskContext) -> str:
        await trio.sleep(10)
        if context.retry_count < 3:
            raise ConnectionError("try later")
        return "at last"

    async def _hangs(self) -> None:
        await trio.sleep_forever()

    async def _snoozes(self, context: TaskContext) -> int:
        if context.attempt < 4:
            raise Snooze(6 * HOUR)
        return context.attempt

    async def _works(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def play(self) -> Ledger:
        async with self.app.running():
            self.ledger.begun = self.app.wall()
            await self.submit_all()
            await trio.sleep(1.5 * DAY)
            self.ledger.kept["after 1.5 days"] = await self.app.count()
            await trio.sleep(2 * DAY)
            self.ledger.kept["after 3.5 days"] = await self.app.count()
            await trio.sleep(6 * DAY)
            self.ledger.kept["after 9.5 days"] = await self.app.count()
        return self.ledger

    async def submit_all(self) -> None:
        await self.submit("fails", self.fails)
        for number in range(3):
            await self.submit(f"flutters {number}", self.flutters)
        await self.submit("hangs", self.hangs)
        await self.submit("snoozes", self.snoozes)
        await self.submit("tomorrow", self.snoozes.options(delay=DAY))
        await self.submit("occupies", self.works, seconds=2 * HOUR)
        await self.submit("expires", self.works.options(expires=0.8 * HOUR), seconds=1.0)
        await self.submit("low", self.works.options(priority=1), seconds=60.0)
        await self.submit("high", self.works.options(priority=10), seconds=60.0)

    async def submit(self, name: str, task: DeclaredTask[..., object], **payload: object) -> None:
        ticket = await task.submit(**payload)
        self.ledger.names[ticket.task_id] = name


def played(monkeypatch: pytest.MonkeyPatch, seed: int) -> Ledger:
    """The scenario in virtual time, where all chance comes from *seed*."""
    monkeypatch.setattr(supervisor, "Chance", lambda _: Chance(seed))
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(trio._core._run, "_r", type(trio._core._run._r)(seed))
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(Scenario().play, clock=clock)


def test_ten_days_of_retries_timeouts_expiry_and_cleanup_go_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = played(monkeypatch, 1)
    assert ledger.started("fails") == pytest.approx([0, HOUR + 10, 3 * HOUR + 20, 6 * HOUR + 30], abs=1)
    assert ledger.of("fails")[-1] == ("completed", 6 * HOUR + 40)
    assert [(kind, round(at / HOUR, 1)) for kind, at in ledger.of("hangs")] == [
        ("submitted", 0), ("started", 0), ("soft_timeout", 0.5), ("retry_scheduled", 1.0), ("started", 2.0),
        ("soft_timeout", 2.5), ("timed_out", 3.0),
    ]  # fmt: skip
    assert [round(at / HOUR) for at in ledger.started("snoozes")] == [0, 6, 12, 18]
    assert [round(at / HOUR) for at in ledger.started("tomorrow")] == [24, 30, 36, 42]
    assert ledger.of("expires")[-1] == ("timed_out", 0.8 * HOUR)
    (low,), (high,) = ledger.started("low"), ledger.started("high")
    assert 2 * HOUR <= high < low
    # Two days after their end the completed go, five days after it those that timed out.
    assert ledger.kept == {"after 1.5 days": 11, "after 3.5 days": 3, "after 9.5 days": 0}


def test_the_same_seed_gives_the_same_events_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first = played(monkeypatch, 7)
    assert len(first.lines) > 40
    assert played(monkeypatch, 7).lines == first.lines
    assert played(monkeypatch, 8).lines != first.lines, "chance has no part in the scenario"


async def test_a_low_task_does_not_starve_behind_high_ones_that_never_stop_coming(
    autojump_clock: trio.testing.MockClock,
) -> None:
    app = TaskSystem("sqlite:///:memory:", settings=Settings(lanes={"narrow": 1}, aging_seconds=60.0))
    ran: list[tuple[str, float]] = []

    async def works(name: str) -> None:
        ran.append((name, trio.current_time()))
        await trio.sleep(1.0)

    works_ = app.register_handler("works", works, lane="narrow")

    async def keep_coming() -> None:
        while True:
            await app.submit_many(works_.options(priority=10).request(name="high") for _ in range(2))
            await trio.sleep(1.0)

    async with app.running(), trio.open_nursery() as nursery:
        nursery.start_soon(keep_coming)
        await trio.sleep(5.0)
        submitted = trio.current_time()
        low = await works_.options(priority=1).submit(name="low")
        await low.result()
        nursery.cancel_scope.cancel()
    (started,) = [at for name, at in ran if name == "low"]
    overtaken = sum(name == "high" and submitted < at < started for name, at in ran)
    assert overtaken > 100, "nothing overtook it"
    # It yields to what came up to (10 - 1) x 60 s after it; that takes 1 s each, and they come at two a second.
    assert started - submitted <= 2 * 9 * 60 + 15

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.engine import Engine

from actors.core.lifecycle import Transition
from actors.core.request import Claimed
from actors.store import rollups
from actors.store.claim import CLAIMED
from actors.store.schema import counter, running
from tests.store.world import KEPT_AS, NOW, TYPES, World, room

HOUR = rollups.HOUR


class Life:
    """Random operations on a store, each a step that a node can take."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance

    def running(self) -> list[Claimed]:
        return [Claimed._make(row) for row in self.world.connection.execute(select(*CLAIMED).where(running))]

    def submit(self) -> None:
        world, chance = self.world, self.chance
        rows = [
            world.new(
                chance.choice(TYPES),
                due=world.now + chance.choice([-50, 0, 0, 20]),
                key=chance.choice([None, None, "k"]),
                expires_at=chance.choice([None, None, world.now + 15]),
                priority=chance.randrange(20),
            )
            for _ in range(chance.choice([1, 3, 12]))
        ]
        world.submit(*rows, *rows[: chance.randrange(2)])

    def claim(self) -> None:
        self.world.claim(room(self.chance.randrange(12)), idle=self.chance.random() < 0.5)

    def settle(self) -> None:
        changes = [self.world.change(row, self.chance.choice(list(KEPT_AS))) for row in self.running()]
        kept = changes[: self.chance.choice([1, 3, 20])]
        self.world.settle(*kept)
        self.world.settle(*kept[:2])

    def cancel(self) -> None:
        self.world.cancel(*self.chance.sample(sorted(self.world.ids_left()), k=min(3, len(self.world.ids_left()))))

    def recover(self) -> None:
        self.world.recover({(row.seq, row.attempt) for row in self.running() if self.chance.random() < 0.5})

    def give_back(self) -> None:
        self.world.give_back(*[(row.seq, row.attempt) for row in self.running()[:3]])

    def clean_up(self) -> None:
        self.world.cleanup(self.world.now, self.world.now - 30, most=self.chance.choice([1, 100]))

    def pass_time(self) -> None:
        self.world.now += 12
        self.world.promote()
        self.world.expire()


STEPS = [
    Life.submit, Life.claim, Life.settle, Life.cancel, Life.recover, Life.give_back, Life.clean_up, Life.pass_time,
]  # fmt: skip


@given(st.lists(st.sampled_from(STEPS), max_size=25), st.integers(0, 2**32))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_gauges_always_equal_a_count_of_the_rows(
    engine: Engine, steps: list[Callable[[Life], None]], seed: int
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        world = World(connection)
        life = Life(world, random.Random(seed))
        for step in [Life.submit, Life.claim, *steps]:
            step(life)
            assert world.gauges() == world.counts()
            assert rollups.by_type(connection) == world.counts_by_type()
        transaction.rollback()


def add(world: World, minute: float, node: str = "node-1", **flows: int) -> None:
    tally = rollups.Tally(node, minute)
    for name, n in flows.items():
        tally.happened("mail", name, n)
    tally.store(world.connection)


def test_counters_go_past_31_bits(world: World) -> None:
    for _ in range(3):
        add(world, world.now, completed=2**31)
        world.counted(lambda tally: tally.moved("mail", None, "completed", 2**31))
    assert rollups.flows(world.connection)["completed"] == 3 * 2**31
    assert rollups.by_status(world.connection)["completed"] == 3 * 2**31
    assert rollups.by_type(world.connection) == {"mail": 3 * 2**31}


def test_counters_of_several_nodes_are_added(world: World) -> None:
    add(world, world.now, "a", completed=2)
    add(world, world.now, "b", completed=3)
    assert rollups.flows(world.connection) == {"completed": 5}


def test_flows_since_a_time_leave_out_periods_that_had_ended(world: World) -> None:
    minute = world.now // 60 * 60
    for age, n in ((0, 1), (60, 10), (120, 100)):
        add(world, minute - age, failed=n)
    assert rollups.flows(world.connection, minute) == {"failed": 1}
    assert rollups.flows(world.connection, minute - 60) == {"failed": 11}
    assert rollups.flows(world.connection) == {"failed": 111}


def test_by_status_knows_every_state_and_can_be_asked_for_one_type(world: World) -> None:
    world.submitted("mail", "mail", "report")
    found = rollups.by_status(world.connection, "mail")
    assert found == {"pending": 2, "running": 0, "retrying": 0, "completed": 0, "failed": 0, "cancelled": 0,
                     "timeout": 0}  # fmt: skip


def test_a_tally_of_nothing_writes_nothing(world: World) -> None:
    world.counted(lambda tally: tally.moved("mail", "pending", "pending"))
    assert rows_of(world) == 0


def rows_of(world: World) -> int:
    return world.connection.execute(select(func.count()).select_from(counter)).scalar_one()


def test_long_names_are_cut(world: World) -> None:
    world.counted(lambda tally: tally.erred("mail", "E" * 5000))
    assert [len(name) for name in rollups.flows(world.connection)] == [rollups.LONGEST_NAME]


def fold_all(world: World, now: float) -> int:
    return sum(iter(lambda: rollups.fold(world.connection, now), 0))


@given(st.lists(st.tuples(st.integers(0, 6 * 60), st.sampled_from(["a", "b"]), st.integers(1, 2**33)), max_size=30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_folding_keeps_every_sum_and_repeating_it_changes_nothing(
    engine: Engine, counts: list[tuple[int, str, int]]
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        world = World(connection)
        for minutes, node, n in counts:
            add(world, NOW + 60 * minutes, node, completed=n)
        before = rollups.flows(connection)
        later = NOW + rollups.MINUTES_KEPT_SECONDS + 3 * HOUR
        fold_all(world, later)
        after = rows_of(world)
        assert rollups.flows(connection) == before
        assert rollups.fold(connection, later) == 0
        assert (rollups.flows(connection), rows_of(world)) == (before, after)
        transaction.rollback()


def test_only_minutes_over_48_hours_old_are_folded_hour_by_hour(world: World) -> None:
    hour = NOW // HOUR * HOUR
    for minutes in (0, 1, 59, 60, 119, 120):
        add(world, hour + 60 * minutes, completed=1)
    later = hour + rollups.MINUTES_KEPT_SECONDS + 2 * HOUR
    assert [rollups.fold(world.connection, later) for _ in range(3)] == [3, 2, 0]
    widths = select(counter.c.width, counter.c.value).order_by(counter.c.width, counter.c.period)
    assert world.connection.execute(widths).all() == [(60, 1), (3600, 3), (3600, 2)]


def test_what_comes_late_for_a_folded_hour_is_added_to_it(world: World) -> None:
    later = NOW + rollups.MINUTES_KEPT_SECONDS + 2 * HOUR
    for n in (1, 10):
        add(world, NOW, completed=n)
        fold_all(world, later)
    assert (rollups.flows(world.connection), rows_of(world)) == ({"completed": 11}, 1)


def test_gauges_are_never_folded(world: World) -> None:
    world.submitted("mail")
    fold_all(world, NOW + 100 * HOUR)
    assert world.gauges() == {"pending": 1}


def test_two_leaders_that_fold_at_once_count_nothing_twice(postgres_engine: Engine) -> None:
    with postgres_engine.begin() as connection:
        for minute in range(60):
            add(World(connection), NOW // HOUR * HOUR + 60 * minute, completed=1)

    def fold(_: int) -> int:
        with postgres_engine.begin() as connection:
            return rollups.fold(connection, NOW + 100 * HOUR)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(fold, range(2))) == [0, 60]
    with postgres_engine.connect() as connection:
        assert rollups.flows(connection) == {"completed": 60}


@pytest.mark.parametrize("transition", [Transition.COMPLETE, Transition.FAIL])
def test_every_end_is_in_the_flows_of_its_minute(world: World, transition: Transition) -> None:
    (row,) = world.running()
    world.now += 600
    world.settle(world.change(row, transition))
    recent = rollups.flows(world.connection, world.now - 60)
    assert recent[{"complete": "completed", "fail": "failed"}[transition.value]] == 1
    assert "submitted" not in recent


def test_what_happened_can_be_forgotten_and_what_there_is_stays(world: World) -> None:
    for hours in (200, 100, 1):
        world.now -= hours * 3600
        world.settle(world.change(world.running()[0], Transition.COMPLETE))
        world.now += hours * 3600
    while rollups.fold(world.connection, world.now):
        pass
    world.settle(world.change(world.running()[0], Transition.COMPLETE))
    assert not rollups.reset(world.connection, world.now)
    assert rollups.flows(world.connection) == {}
    assert world.gauges() == world.counts() == {"completed": 4}


def test_a_long_past_is_forgotten_in_parts(world: World) -> None:
    for minute in range(20, 0, -1):
        tally = rollups.Tally("node-1", world.now - minute * 60)
        tally.happened("mail", "completed")
        tally.happened("mail", "started")
        tally.store(world.connection)
    left = []
    while rollups.reset(world.connection, world.now, most=11):
        left.append(rollups.flows(world.connection)["completed"])
    assert left == [14, 8, 2]
    assert rollups.flows(world.connection) == {}

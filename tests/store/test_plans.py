"""What the hot statements cost on PostgreSQL beside 100,000 rows that cannot run: index scans over their own rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.engine import Engine

from actors.core.lifecycle import Transition
from actors.store import claim, nodes, tasks
from actors.store.engine import make_engine
from tests.postgres import PostgresServer
from tests.store.plans import MODES, Plan, crowd, plans
from tests.store.world import TYPES, World, room

BATCH = 200
CONSTANT = 10
"""Rows that a statement may look at beside those that it is for."""


@pytest.fixture(scope="module")
def crowded(postgres_server: PostgresServer, postgres_template: str) -> Iterator[Engine]:
    """A database with 102,000 paused, future and ended tasks, of which the server knows."""
    with postgres_server.database(template=postgres_template) as url:
        engine = make_engine(url)
        with engine.begin() as connection:
            crowd(connection)
        yield engine
        engine.dispose()


@pytest.fixture
def node(crowded: Engine) -> Iterator[World]:
    """A node there, with more tasks of every type than it will take; whatever it does is undone."""
    with crowded.connect() as connection, connection.begin() as transaction:
        world = World(connection)
        world.submit(*(world.new(name, nonce=-1) for name in TYPES for _ in range(2 * BATCH)))
        yield world
        transaction.rollback()


def planned(monkeypatch: pytest.MonkeyPatch, mode: str, what: Callable[[], object]) -> list[Plan]:
    """The plans of the statements on tasks and attempts that *what* runs."""
    with plans(monkeypatch, mode) as found:
        what()
    found = [plan for plan in found if plan.scans() and "INTO actors_counter" not in plan.sql]
    assert all(plan.by_index() for plan in found), found
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_claim_seeks_each_eligible_type_and_takes_what_it_found(
    node: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects, first = planned(monkeypatch, mode, lambda: node.claim(room(BATCH)))
    assert suspects.indexes() == {"actors_task_alone"}
    assert suspects.rows_read() == 0
    assert first.indexes() == {"actors_task_claim", "actors_task_pkey"}
    seeks = [scan for scan in first.scans() if scan["Index Name"] == "actors_task_claim"]
    assert [scan["Actual Rows"] for scan in seeks if scan["Actual Loops"]] == [BATCH] * len(TYPES)
    assert first.rows_read() <= BATCH * len(TYPES) + BATCH + CONSTANT  # those claimed are looked up once more
    assert first.most_sorted() <= BATCH


@pytest.mark.parametrize("mode", MODES)
def test_a_claim_of_an_idle_queue_reads_nothing(crowded: Engine, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with crowded.begin() as connection:
        found = planned(monkeypatch, mode, lambda: World(connection).claim(room(BATCH)))
    assert [plan.rows_read() for plan in found] == [0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transition", [Transition.COMPLETE, Transition.FAIL, Transition.RETRY, Transition.GIVE_BACK])
def test_outcomes_are_found_by_their_keys(
    node: World, mode: str, transition: Transition, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [node.change(row, transition) for row in node.claim(room(BATCH))]
    (settled,) = planned(monkeypatch, mode, lambda: node.settle(*changes))
    assert settled.indexes() == {"actors_task_pkey"}
    assert settled.rows_read() == BATCH
    assert settled.most_sorted() == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_is_gone_through_once_where_the_server_knows_nothing_of_the_table(
    postgres_engine: Engine, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_engine.begin() as connection:
        world = World(connection)
        changes = [world.change(row, Transition.COMPLETE) for row in world.running(BATCH)]
        with plans(monkeypatch, mode) as found:
            world.settle(*changes)
    batches = [node for plan in found for node in plan.nodes if node["Node Type"] == "Function Scan"]
    assert [node["Actual Loops"] for node in batches] == [1] * len(batches) != []


@pytest.mark.parametrize("mode", MODES)
def test_progress_is_written_by_key(node: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [(row.seq, row.attempt, "{}") for row in node.claim(room(BATCH))]
    (written,) = planned(monkeypatch, mode, lambda: tasks.set_progress(node.connection, words))
    assert (written.indexes(), written.rows_read(), written.most_sorted()) == ({"actors_task_pkey"}, BATCH, 0)


@pytest.mark.parametrize("mode", MODES)
def test_a_submit_reads_no_table(node: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [node.new(nonce=-2) for _ in range(BATCH)]
    assert planned(monkeypatch, mode, lambda: node.submit(*rows)) == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_due_is_promoted_by_its_index(node: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node.submit(*(node.new(due=node.now + 5, nonce=-3) for _ in range(2 * BATCH)))
    node.now += 10
    (promoted,) = planned(monkeypatch, mode, lambda: node.promote(BATCH))
    assert promoted.indexes() == {"actors_task_due", "actors_task_pkey"}
    assert promoted.rows_read() <= 2 * BATCH + CONSTANT
    assert promoted.most_sorted() == 0


@pytest.mark.parametrize("mode", MODES)
def test_the_next_time_is_one_look(node: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for plan in planned(monkeypatch, mode, lambda: claim.next_due(node.connection)):
        assert plan.rows_read() <= 1
        assert plan.indexes() <= {"actors_task_due", "actors_task_expires"}


@pytest.mark.parametrize("mode", MODES)
def test_a_nodes_row_is_found_by_its_name(node: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.register(node.connection, node.node, node.now, node.now + 30, working=True, lock_key=None)
    with plans(monkeypatch, mode) as found:
        assert nodes.present(node.connection, node.node)
    assert [plan.rows_read() for plan in found] == [1]

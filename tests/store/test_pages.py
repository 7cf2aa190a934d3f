from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from actors.core.errors import IllegalTransition, InvalidOption, TaskNotFound
from actors.core.lifecycle import Transition
from actors.core.task import Order, TaskStatus
from actors.store.views import Filter
from tests.store.world import World

ORDERS: tuple[Order, ...] = ("newest", "oldest", "due", "ended")
ENDS = (Transition.COMPLETE, Transition.FAIL, Transition.TIME_OUT, Transition.CANCEL)


def walk(world: World, order: Order, limit: int, which: Filter | None = None) -> list[str]:
    """All ids, page after page."""
    seen: list[str] = []
    while page := world.page(order, which, limit, seen[-1] if seen else None):
        assert len(page) <= limit
        seen += page
    return seen


def ended_at(world: World, *moments: float) -> list[str]:
    """The ids of tasks that ended then, in all four ways."""
    rows = world.running(len(moments))
    ways = [ENDS[number % 4] for number in range(len(rows))]
    world.settle(*(world.change(row, way, at=at) for row, way, at in zip(rows, ways, moments, strict=True)))
    return [row.task_id for row in rows]


def mixed(world: World) -> None:
    """Tasks of several types and lanes in every state, many of them with the same times."""
    ended_at(world, *[world.now + number // 3 for number in range(13)])
    for task_type, lane, priority in (("mail", "coroutine", 5), ("report", "thread", 9), ("report", "coroutine", 5)):
        for late in (-9.0, 0.0, 0.0, 5.0, 5.0):
            world.submitted(task_type, lane=lane, priority=priority, due=world.now + late)


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("order", ORDERS)
def test_pages_walk_through_all_tasks_once_whatever_the_size_of_a_page(world: World, order: Order, limit: int) -> None:
    mixed(world)
    found = walk(world, order, limit)
    assert found == walk(world, order, 1000)
    assert len(found) == len(set(found)) == {"newest": 28, "oldest": 28, "due": 15, "ended": 13}[order]


def test_in_order_of_submission_what_comes_in_at_the_other_end_shifts_no_page(world: World) -> None:
    submitted = world.submitted(*["mail"] * 7)
    first = world.page("newest", limit=3)
    late = world.submitted("report")
    assert first + world.page("newest", limit=9, after=first[-1]) == submitted[::-1]
    assert walk(world, "oldest", 3) == submitted + late


def test_the_latest_end_comes_first_and_the_later_submit_among_equals(world: World) -> None:
    now = world.now
    a, b, c, d, e = ended_at(world, now + 1, now + 3, now + 2, now + 3, now + 3)
    assert walk(world, "ended", 2) == [e, d, b, c, a]


def test_what_is_ready_comes_in_the_order_in_which_it_starts_and_then_what_is_put_off(world: World) -> None:
    (later,) = world.submitted("mail", due=world.now + 20)
    (sooner,) = world.submitted("report", due=world.now + 10, lane="thread")
    (normal,) = world.submitted("mail")
    (high,) = world.submitted("report", priority=10)
    (old,) = world.submitted("resize", due=world.now - 600)
    (suspect,) = world.submitted("mail", due=world.now - 601)
    world.set(suspect, alone=1)
    assert walk(world, "due", 1) == [suspect, old, high, normal, sooner, later]


def test_a_retry_that_waits_stands_at_its_time_among_those_that_are_due(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.RETRY, due_at=world.now + 15))
    first, last = world.submitted("mail", due=world.now + 10) + world.submitted("mail", due=world.now + 20)
    assert world.page("due") == [first, row.task_id, last]


def test_a_page_goes_on_behind_a_task_that_has_started_meanwhile(world: World) -> None:
    ready = world.submitted("mail", "mail", "report")
    put_off = world.submitted("mail", due=world.now + 10)
    (first,) = world.page("due", limit=1)
    assert world.claim()[0].task_id == first == ready[0]
    world.give_back(*[(seq, 1) for seq in (2, 3)])
    assert world.page("due", after=first) == [*ready[1:], *put_off]


def test_filters_hold_in_every_order(world: World) -> None:
    mixed(world)
    thread, of_type = Filter(lane="thread"), Filter(task_type="report", lane="coroutine")
    assert len(walk(world, "due", 2, thread)) == len(walk(world, "due", 2, of_type)) == 5
    assert len(walk(world, "due", 2, Filter(status=TaskStatus.PENDING))) == 15
    assert walk(world, "due", 2, Filter(status=TaskStatus.RETRYING)) == []
    failed = walk(world, "ended", 2, Filter(status=TaskStatus.FAILED))
    assert world.statuses(failed) == ["failed"] * 3
    assert walk(world, "ended", 2, Filter(task_type="report")) == []


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_behind_a_task_that_is_gone_is_an_error_and_no_empty_list(world: World, order: Order) -> None:
    world.submitted("mail")
    with pytest.raises(TaskNotFound, match="no task 'gone' is stored"):
        world.page(order, after="gone")


def test_a_page_of_ended_tasks_behind_one_that_lives_is_an_error(world: World) -> None:
    (task_id,) = world.submitted("mail")
    with pytest.raises(IllegalTransition, match=r"it is pending .*begin with the first page"):
        world.page("ended", after=task_id)


def test_an_order_without_tasks_of_that_state_is_an_error_that_names_those_that_have_some(world: World) -> None:
    with pytest.raises(InvalidOption, match=r"no RUNNING task has a place in the order 'due'; .*PENDING, RETRYING"):
        world.page("due", Filter(status=TaskStatus.RUNNING))
    with pytest.raises(InvalidOption, match=r"no PENDING task has a place in the order 'ended'; .*CANCELLED"):
        world.page("ended", Filter(status=TaskStatus.PENDING))


@contextmanager
def listened(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the block runs, with their parameters."""
    said: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        said.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(connection, "before_cursor_execute", note)


def plans(world: World, order: Order, which: Filter, after: str | None) -> list[str]:
    """How the database finds a page."""
    postgres = world.connection.dialect.name == "postgresql"
    if postgres:  # which goes by the size of a table, and a test's are small
        world.connection.exec_driver_sql(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
    with listened(world.connection) as said:
        world.page(order, which, 2, after)
    words = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
    return [
        "\n".join(str(row[-1]) for row in world.connection.exec_driver_sql(words + sql, parameters))
        for sql, parameters in list(said)
    ]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("order", "which", "index"),
    [
        ("newest", Filter(), None),
        ("oldest", Filter(), None),
        ("due", Filter(), "actors_task_claim"),
        ("due", Filter(lane="thread", task_type="report"), "actors_task_claim"),
        ("due", Filter(task_type="unheard of"), "actors_task_due"),
        ("ended", Filter(), "actors_task_ended"),
        ("ended", Filter(status=TaskStatus.FAILED), "actors_task_ended"),
    ],
)
def test_every_page_is_found_by_seeks_and_nothing_is_sorted(
    world: World, order: Order, which: Filter, index: str | None, behind: bool
) -> None:
    mixed(world)
    after = world.page(order, limit=2)[-1] if behind else None
    found = plans(world, order, which, after)
    assert found
    for plan in found:
        assert "TEMP B-TREE" not in plan
        assert not any(line.strip(" ->").startswith(("Seq Scan", "Sort  (")) for line in plan.splitlines())
        read_all = [line for line in plan.splitlines() if line.startswith("SCAN") and "INDEX" not in line]
        assert not read_all or (order in ("newest", "oldest") and not behind)
    assert index is None or any(index in plan for plan in found)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_running_tasks_are_looked_for_among_those_that_run(world: World, order: Order) -> None:
    if world.connection.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's planner goes by statistics")
    rows = world.running(5)
    world.settle(world.change(rows[2], Transition.COMPLETE))
    left = [row.task_id for row in rows if row is not rows[2]]
    expected = left if order == "oldest" else left[::-1]
    queries: list[tuple[str, Any]] = []
    event.listen(world.connection, "before_cursor_execute", lambda *given: queries.append((given[2], given[3])))
    which = Filter(status=TaskStatus.RUNNING)
    first = world.page(order, which, 2)
    assert first + world.page(order, which, 2, first[-1]) == expected
    for sql, values in [query for query in queries if "LIMIT" in query[0]]:
        plan = world.connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, values).all()
        assert "actors_task_running" in plan[0][3]

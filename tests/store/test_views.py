from __future__ import annotations

from actors.core.lifecycle import Transition
from actors.core.task import ExecutionMode, TaskStatus
from actors.store import views
from actors.store.views import Filter
from tests.store.world import World


def test_a_task_that_is_not_stored_is_none(world: World) -> None:
    assert views.get(world.connection, "no such id") is None


def test_a_running_task_reads_back_in_full(world: World) -> None:
    (row,) = world.running(lane="coroutine", max_retries=7)
    task = world.get(row.task_id)
    assert (task.status, task.mode, task.lane) == (TaskStatus.RUNNING, ExecutionMode.COROUTINE, "coroutine")
    assert (task.attempt, task.max_retries, task.node, task.metadata) == (1, 7, "node-1", {})
    assert task.started_at is not None
    assert task.started_at.timestamp() == world.now
    assert (task.completed_at, task.expires_at, task.progress, task.result_data) == (None, None, None, None)


def test_ids_are_found_in_upper_case_too(world: World) -> None:
    (row,) = world.running(task_id="0190a0b0-0000-7000-8000-00000000000a")
    world.settle(world.change(row, Transition.FAIL))
    (later,) = world.submitted("mail")
    loud = row.task_id.upper()
    assert world.get(loud).task_id == row.task_id
    assert len(views.attempts(world.connection, loud)) == 1
    assert [ended.task_id for ended in views.ended_among(world.connection, [loud])] == [row.task_id]
    assert views.known_among(world.connection, [loud]) == {row.task_id}
    assert world.page("oldest", after=loud) == [later]
    assert [found.task_id for found in world.cancel(loud)] == [row.task_id]


def filtered(world: World, which: Filter) -> list[str]:
    found = world.page("oldest", which)
    assert views.count(world.connection, which) == len(found)
    return found


def test_filters_take_what_they_say_and_agree_with_the_count(world: World) -> None:
    running = [row.task_id for row in world.running(2)]
    (keyed,) = world.submitted("mail", key="k")
    (thread,) = world.submitted("report", lane="thread")
    (old,) = world.submitted("resize", created_at=world.now - 100)
    everything = [*running, keyed, thread, old]
    assert filtered(world, Filter()) == everything
    assert filtered(world, Filter(task_type="mail")) == [*running, keyed]
    assert filtered(world, Filter(status=TaskStatus.RUNNING)) == running
    assert filtered(world, Filter(task_type="mail", status=TaskStatus.PENDING)) == [keyed]
    assert filtered(world, Filter(lane="thread")) == [thread]
    assert filtered(world, Filter(key="k")) == [keyed]
    assert filtered(world, Filter(created_after=world.now)) == everything[:-1]
    assert filtered(world, Filter(created_before=world.now)) == [old]
    assert filtered(world, Filter(task_type="unknown")) == []


def test_attempts_come_oldest_first_with_their_errors(world: World) -> None:
    (row,) = world.running()
    for _ in range(2):
        world.settle(world.change(row, Transition.RETRY))
        world.now += 10
        world.promote()
        (row,) = world.claim()
    attempts = views.attempts(world.connection, row.task_id)
    assert [(attempt.number, attempt.outcome) for attempt in attempts] == [(1, "failed"), (2, "failed")]
    assert attempts[0].started_at is not None
    assert attempts[0].started_at < attempts[1].ended_at
    assert attempts[0].error_info is not None
    assert attempts[0].error_info.attempt == 1
    assert views.attempts(world.connection, "no such id") == []


def test_waiters_are_told_of_those_that_have_ended_and_of_those_that_are_known(world: World) -> None:
    done, failed, waiting = world.running(3)
    world.settle(world.change(done, Transition.COMPLETE), world.change(failed, Transition.FAIL))
    asked = [done.task_id, failed.task_id, waiting.task_id, "no such id", *map(str, range(600))]
    ended = {row.task_id: row for row in views.ended_among(world.connection, asked)}
    assert set(ended) == {done.task_id, failed.task_id}
    assert (ended[done.task_id].status, ended[done.task_id].result) == ("completed", '"done"')
    assert "ValueError" in (ended[failed.task_id].error or "")
    assert views.known_among(world.connection, asked) == {done.task_id, failed.task_id, waiting.task_id}


def test_statistics_say_what_there_is_and_what_was(world: World) -> None:
    rows = world.running(10)
    changes = [world.change(row, Transition.COMPLETE, seconds=2.0) for row in rows[:6]]
    changes += [world.change(rows[6], Transition.FAIL), world.change(rows[7], Transition.TIME_OUT)]
    world.settle(*changes)
    found = views.statistics(world.connection, world.now, 12.5)
    assert (found.total_tasks, found.by_status["running"], found.by_type) == (10, 2, {"mail": 10})
    assert (found.success_count, found.failure_count, found.success_rate) == (6, 2, 75.0)
    assert (found.avg_execution_time, found.throughput_per_minute, found.uptime_seconds) == (2.0, 6 / 5, 12.5)
    assert found.top_errors == {"ValueError": 2}
    assert views.statistics(world.connection, world.now + 3600, 0.0).throughput_per_minute == 0


def test_statistics_of_an_empty_store_are_zeros(world: World) -> None:
    found = views.statistics(world.connection, world.now, 0.0)
    assert (found.total_tasks, found.success_rate, found.avg_execution_time, found.top_errors) == (0, 0.0, 0.0, {})


def test_statistics_survive_the_cleanup_of_what_they_counted(world: World) -> None:
    (row,) = world.running()
    world.settle(world.change(row, Transition.COMPLETE))
    world.cleanup(world.now + 1, world.now + 1)
    found = views.statistics(world.connection, world.now, 0.0)
    assert (found.total_tasks, found.success_count, found.by_type) == (0, 1, {})

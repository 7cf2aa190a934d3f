"""Who watches a task hears of everything once, from this node or from the row."""

from __future__ import annotations

import attrs
import trio

from actors.core.events import TaskEvent, TaskEventType
from actors.core.story import Sight
from actors.core.task import TaskStatus, moment
from actors.store.views import sights
from actors.system.watches import Watch, Watches
from actors.system.writes import Submit
from tests.system.world import World, alive

E, S = TaskEventType, TaskStatus
NEW = Sight(
    task_id="1", task_type="work", status=S.PENDING, attempt=0, due_at=5.0, progress=None, result=None, error=None,
    outcome=None,
)  # fmt: skip
RUNNING = attrs.evolve(NEW, status=S.RUNNING, attempt=1)
DONE = attrs.evolve(RUNNING, status=S.COMPLETED)


class Watcher:
    """One who watches, with room for *room* events."""

    def __init__(self, sight: Sight | None = NEW, room: int = 100) -> None:
        sender, self._receiver = trio.open_memory_channel[TaskEvent](room)
        self.watch = Watch(sender, "1")
        self.watch.begin(sight)

    def hear(self, kind: TaskEventType, attempt: int = 1, task_id: str = "1", **data: object) -> None:
        """This node tells of something."""
        self.watch.offer(TaskEvent(kind, task_id, "work", attempt, moment(9.0), data))

    def told(self) -> list[TaskEventType]:
        """The events since the last call."""
        found = []
        while self._receiver.statistics().current_buffer_used:
            found.append(self._receiver.receive_nowait().type)
        return found


async def test_what_the_row_shows_is_told() -> None:
    watcher = Watcher()
    for sight in (NEW, RUNNING, RUNNING, DONE, DONE):
        watcher.watch.see(sight, 9.0)
    assert watcher.told() == [E.STARTED, E.COMPLETED]


async def test_what_was_heard_from_this_node_is_not_told_again() -> None:
    watcher = Watcher()
    watcher.hear(E.STARTED)
    watcher.watch.see(RUNNING, 9.0)
    watcher.hear(E.PROGRESS, fraction=0.5)
    watcher.watch.see(attrs.evolve(RUNNING, progress='{"fraction": 0.5}'), 9.0)
    watcher.hear(E.COMPLETED)
    watcher.watch.see(DONE, 9.0)
    assert watcher.told() == [E.STARTED, E.PROGRESS, E.COMPLETED]


async def test_what_comes_late_behind_the_end_that_the_row_has_shown_is_not_told() -> None:
    watcher = Watcher()
    watcher.watch.see(DONE, 9.0)
    watcher.hear(E.STARTED)
    watcher.hear(E.PROGRESS, fraction=0.5)
    watcher.hear(E.COMPLETED)
    assert watcher.told() == [E.STARTED, E.COMPLETED]


async def test_after_a_revival_the_same_is_told_anew() -> None:
    watcher, cancelled = Watcher(), attrs.evolve(NEW, status=S.CANCELLED)
    for sight in (cancelled, NEW, cancelled, NEW):
        watcher.watch.see(sight, 9.0)
    assert watcher.told() == [E.CANCELLED, E.SUBMITTED, E.CANCELLED, E.SUBMITTED]


async def test_a_task_that_is_not_stored_yet_can_be_watched() -> None:
    watcher = Watcher(None)
    watcher.watch.see(RUNNING, 9.0)
    assert watcher.told() == [E.SUBMITTED, E.STARTED]


async def test_events_of_other_tasks_are_not_told_and_those_that_leave_no_trace_are() -> None:
    watcher = Watcher()
    watcher.hear(E.STARTED, task_id="2")
    watcher.hear(E.COMPLETED)
    watcher.hear(E.STUCK)
    watcher.hear(E.FENCED)
    assert watcher.told() == [E.COMPLETED, E.STUCK, E.FENCED]


async def test_who_is_slow_loses_events_counted_and_who_has_gone_harms_nobody() -> None:
    watcher = Watcher(room=1)
    watcher.watch.see(DONE, 9.0)
    assert (watcher.told(), watcher.watch.lost) == ([E.STARTED], 1)
    watcher._receiver.close()
    watcher.hear(E.STUCK)


async def test_the_rows_of_all_are_read_at_once_and_only_when_another_process_has_written() -> None:
    world = World()
    database, watches = world.database(), Watches(world.clock.wall)
    rows = [world.row() for _ in range(3)]
    async with alive("storage", world.make_storage(database)) as storage:
        await storage.handle.ask(Submit(rows))
    senders = [trio.open_memory_channel[TaskEvent](10) for _ in rows]
    for row, (sender, _) in zip(rows, senders, strict=True):
        watch = Watch(sender, row.task_id)
        (sight,) = database.look(lambda connection, row=row: sights(connection, [row.task_id]))  # type: ignore[misc]
        watch.begin(sight)
        watches._watches.append(watch)
    start = "UPDATE actors_task SET status = 'running', attempt = 1"
    await database.write(lambda connection: connection.exec_driver_sql(start))
    watches.look_up(database)
    assert [receiver.statistics().current_buffer_used for _, receiver in senders] == [0, 0, 0]
    watches.look_at_all()
    watches.look_up(database)
    assert [receiver.receive_nowait().type for _, receiver in senders] == [E.STARTED] * 3
    await database.close()

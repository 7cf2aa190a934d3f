"""Full mailboxes, slow listeners, raising callbacks, floods of progress, and huge clean-ups."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
import trio

from actors import ExecutionMode, Settings, TaskContext, TaskEventType, TaskStatus, TaskSystem
from actors.system import supervisor
from actors.system.subscribers import BUFFER
from tests.waiting import Lateness, until
from tests.whole import plain
from tests.whole.crowd import Crowd
from tests.whole.programs.mode_bodies import MODES
from tests.whole.table import File

SMALL = 4


async def test_senders_wait_while_storage_is_full_and_nothing_is_dropped(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "CAPACITY", SMALL)
    crowd = Crowd(file)
    done: list[int] = []

    async def submit(number: int) -> None:
        done.append(await (await crowd.quick.submit(number=number)).result())

    async with crowd.running(), trio.open_nursery() as nursery:
        with file.locked():
            for number in range(100):
                nursery.start_soon(submit, number)
            await until(lambda: _storage_depth(crowd.app) == SMALL)
            assert not done
        await until(lambda: len(done) == 100)
    assert sorted(done) == list(range(100))
    file.assert_exact(completed=100)


def _storage_depth(app: TaskSystem) -> int:
    return next(child.depth for child in app.tree() if child.name == "storage")


async def test_a_slow_subscriber_loses_events_that_are_counted_and_no_one_waits_for_it(file: File) -> None:
    crowd, tasks = Crowd(file), BUFFER
    async with crowd.running(), crowd.app.events() as slow, trio.open_nursery() as nursery:
        heard: Counter[TaskEventType] = Counter()

        async def listen(task_status: trio.TaskStatus[None]) -> None:
            async with crowd.app.events() as receive:
                task_status.started()
                async for event in receive:
                    heard[event.type] += 1

        await nursery.start(listen)
        for first in range(0, tasks, 100):
            requests = [crowd.quick.request(number=number) for number in range(first, first + 100)]
            for ticket in await crowd.app.submit_many(requests):
                await ticket.wait()
        await until(lambda: heard[TaskEventType.COMPLETED] == tasks)
        kept = slow.statistics().current_buffer_used
        assert kept == BUFFER
        assert crowd.app.metrics().events_lost == sum(heard.values()) - kept > 0
        assert heard == dict.fromkeys((TaskEventType.SUBMITTED, TaskEventType.STARTED, TaskEventType.COMPLETED), tasks)
        nursery.cancel_scope.cancel()


async def test_a_callback_that_raises_is_logged_and_harms_no_one(file: File, caplog: pytest.LogCaptureFixture) -> None:
    crowd, heard = Crowd(file), Counter[TaskEventType]()

    @crowd.app.on_event
    def bad(event: object) -> None:
        raise ZeroDivisionError("a bad callback")

    crowd.app.on_event(lambda event: heard.update([event.type]))
    async with crowd.running():
        for ticket in await crowd.app.submit_many(crowd.quick.request(number=number) for number in range(50)):
            await ticket.result()
        await until(lambda: heard[TaskEventType.COMPLETED] == 50)
        assert not [child.name for child in crowd.app.tree() if child.restarts]
    assert "a bad callback" in caplog.text
    file.assert_exact(completed=50)


async def test_a_flood_of_progress_and_logs_is_thinned_and_its_last_word_is_kept(file: File) -> None:
    app, said = TaskSystem(file.url), 20_000
    words: list[float] = []

    @app.task
    async def floods(context: TaskContext) -> None:
        for number in range(1, said + 1):
            context.progress(number / said, "working", number=number)
            context.log.debug("word %d", number)
            if number % 500 == 0:
                await trio.sleep(0.01)

    @app.task(mode=ExecutionMode.ASYNCIO if "asyncio" in MODES else None)
    async def floods_in_asyncio(context: TaskContext) -> None:
        for number in range(1, said + 1):
            context.progress(number / said, "working", number=number)
            if number % 500 == 0:
                await (asyncio if "asyncio" in MODES else trio).sleep(0.01)

    in_a_thread = app.register_handler("thread", plain.floods)
    in_a_process = app.register_handler("process", plain.floods, mode=ExecutionMode.PROCESS)
    app.on_event(lambda event: words.append(0.0) if event.type is TaskEventType.PROGRESS else None)
    async with app.running():
        requests = [floods.request(), floods_in_asyncio.request()]
        requests += [flood.request(said=said) for flood in (in_a_thread, in_a_process)]
        for request in requests:
            words.clear()
            began = trio.current_time()
            task = await (await app.submit(request)).wait()
            seconds = trio.current_time() - began
            assert task.status is TaskStatus.COMPLETED
            assert task.progress is not None
            assert (task.progress.fraction, task.progress.data) == (1.0, {"number": said})
            assert 1 <= len(words) <= 2 + 5 * seconds
    file.assert_exact(completed=4)


@pytest.mark.parametrize("mode", [ExecutionMode.THREAD, ExecutionMode.PROCESS])
async def test_an_endless_flood_of_progress_and_logs_delays_neither_its_own_stop_nor_others(
    file: File, mode: ExecutionMode, caplog: pytest.LogCaptureFixture
) -> None:
    app, limit = TaskSystem(file.url, settings=Settings(max_io_workers=2, max_cpu_workers=2)), 2.0
    flood = app.register_handler("flood", plain.floods_without_end, mode=mode, timeout=limit, max_retries=0)
    quick = app.register_handler("quick", plain.quick, mode=mode)
    nap = app.register_handler("nap", plain.deaf, mode=mode)
    others, lateness = 0, Lateness()
    async with app.running(), lateness.measured():
        for warm_up in await app.submit_many([nap.request()] * 2):  # both at once, in a process each
            await warm_up.wait()
        ticket = await flood.submit()
        while not (await ticket.status()).ended:
            assert await (await quick.submit(number=others)).result() == others
            others += 1
        task = await ticket.task()
    assert len(caplog.records) > 100, "it was no flood"
    assert task.status is TaskStatus.TIMEOUT
    assert task.started_at is not None
    assert task.completed_at is not None
    assert limit <= (task.completed_at - task.started_at).total_seconds() < limit + 0.5 + lateness.worst
    assert others, "nobody else had a turn"


async def test_a_huge_cleanup_goes_in_batches_and_lets_others_through(file: File) -> None:
    crowd, old, longest = Crowd(file), 10_000, 0.0
    async with crowd.running():
        for first in range(0, old, 1000):
            await crowd.app.submit_many(crowd.quick.request(number=number) for number in range(first, first + 1000))
        await until(lambda: len(crowd.runs) == old)
        await until(lambda: not crowd.app.running_node.running.leased)
        removed: list[int] = []

        async def clean() -> None:
            removed.append(await crowd.app.cleanup(completed_older_than=0.0))

        between = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clean)
            while not removed:
                began = trio.current_time()
                await crowd.gated.options(delay=3600.0).submit(number=between)
                longest, between = max(longest, trio.current_time() - began), between + 1
        assert removed == [old]
        assert between >= old / 1000, "the clean-up did not let others in between its batches"
    print(f"\n{between} submits during the clean-up of {old} tasks; the slowest took {longest:.3f} s")
    assert longest < 1.0
    file.assert_exact(pending=between)


async def test_a_huge_cancel_lets_others_through(file: File) -> None:
    crowd, many, longest, between = Crowd(file), 1000, 0.0, 0
    async with crowd.running():
        tickets = await crowd.app.submit_many(
            crowd.gated.options(delay=3600.0).request(number=number) for number in range(many)
        )
        cancelled: list[bool] = []

        async def cancel(task_id: str) -> None:
            cancelled.append(await crowd.app.cancel(task_id))

        async with trio.open_nursery() as nursery:
            for ticket in tickets:
                nursery.start_soon(cancel, ticket.task_id)
            while len(cancelled) < many:
                began = trio.current_time()
                await (await crowd.quick.submit(number=between)).result()
                longest, between = max(longest, trio.current_time() - began), between + 1
        assert all(cancelled)
    print(f"\n{between} tasks ran during {many} cancels; the slowest took {longest:.3f} s")
    assert longest < 3.0
    file.assert_exact(cancelled=many, completed=between)

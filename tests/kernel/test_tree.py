from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Child, ChildSnapshot, Limits, State, Strategy, Tree, TreeFailed, supervise
from actors.kernel.supervisor import Supervisor
from tests.kernel.cast import Echo, Scripted, crash_once, scripted


async def test_a_snapshot_tells_what_each_child_does(autojump_clock: MockClock) -> None:
    a, b = scripted([], "a"), scripted([], "b", capacity=1)
    gate = trio.Event()
    async with supervise([a, b], limits=Limits(first_delay=1)) as tree:
        await a.handle.ask(Echo("hello"))
        await a.handle.tell("boom")
        await b.handle.tell(gate)
        await wait_all_tasks_blocked()
        await b.handle.tell("waits")
        b.handle.hint("dropped")
        first, second = tree.snapshot()
        assert first == ChildSnapshot(
            name="a",
            state=State.RESTARTING,
            depth=1,
            peak=1,
            handled=1,
            hints_dropped=0,
            dead_letters=0,
            restarts=1,
            last_error="Boom: asked for",
        )
        assert (second.name, second.state, second.depth, second.hints_dropped) == ("b", State.RUNNING, 1, 1)
        gate.set()
        await trio.sleep(1.5)
        first, _ = tree.snapshot()
        assert (first.state, first.depth, first.dead_letters) == (State.RESTARTING, 0, 1)
        await trio.sleep(10)
        assert tree.snapshot()[0].state is State.RUNNING
    assert [child.state for child in tree.snapshot()] == [State.STOPPED, State.STOPPED]


async def test_a_child_is_seen_starting_running_and_stopping(autojump_clock: MockClock) -> None:
    class Watched(Scripted):
        async def started(self) -> None:
            seen.append(tree.snapshot()[0].state)

        async def stopped(self) -> None:
            seen.append(tree.snapshot()[0].state)

    seen: list[State] = []
    child: Child[Any] = Child("actor", lambda: Watched([]))
    supervisor = Supervisor([child], Strategy.ONE_FOR_ONE, Limits())
    tree = Tree(supervisor.slots)
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        seen.append(tree.snapshot()[0].state)
        await supervisor.stop()
    assert seen == [State.STARTING, State.RUNNING, State.STOPPING]


async def test_a_sibling_on_its_way_down_is_seen_restarting(autojump_clock: MockClock) -> None:
    a, b = scripted([], "a"), scripted([], "b")
    gate = trio.Event()
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL) as tree:
        await b.handle.tell(gate)
        await wait_all_tasks_blocked()
        await a.handle.tell(crash_once())
        await wait_all_tasks_blocked()
        assert [child.state for child in tree.snapshot()] == [State.RESTARTING, State.RESTARTING]
        gate.set()


async def test_a_child_that_was_given_up_is_seen_as_failed(autojump_clock: MockClock) -> None:
    child = scripted([])
    trees: list[Tree] = []

    async def run() -> None:
        async with supervise([child], limits=Limits(restarts=0)) as tree:
            trees.append(tree)
            await child.handle.tell("boom")
            await trio.sleep_forever()

    with pytest.raises(TreeFailed):
        await run()
    assert trees[0].snapshot()[0].state is State.FAILED

"""How a tree ends: order, bounds, and what leaves the block."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import ActorStopped, Child, Limits, State, Tree, TreeFailed, supervise
from tests.kernel.cast import Boom, DiesBadly, Echo, LastWord, Scripted, crash_once, in_turn, run_and_tell, scripted


class SlowStart(Scripted):
    async def started(self) -> None:
        try:
            await trio.sleep(1)
        finally:
            self.log.append(f"{self.name} tried")
        await super().started()


async def test_children_start_in_order_and_stop_in_reverse() -> None:
    log: list[Any] = []
    async with supervise([scripted(log, name) for name in "abc"]):
        log.append("block")
    assert log == ["a started", "b started", "c started", "block", "c stopped", "b stopped", "a stopped"]


async def test_each_child_waits_until_the_one_before_it_has_started(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    slow: Child[Any] = Child("slow", lambda: SlowStart(log, "slow"))
    async with supervise([slow, scripted(log, "next")]):
        assert log == ["slow tried", "slow started", "next started"]


async def test_a_tree_may_be_empty() -> None:
    async with supervise([]) as tree:
        assert tree.snapshot() == ()


async def test_the_block_s_exception_leaves_unwrapped_after_the_stop() -> None:
    log: list[Any] = []
    boom = Boom("of the block")
    with pytest.raises(Boom) as caught:
        async with supervise([scripted(log)]):
            raise boom
    assert caught.value is boom
    assert log == ["actor started", "actor stopped"]


async def test_a_stop_handles_what_is_queued_before_it_calls_stopped() -> None:
    log: list[Any] = []
    child, gate = scripted(log), trio.Event()
    asks = [Echo(str(number)) for number in range(5)]
    async with supervise([child]):
        await child.handle.tell(gate)
        await wait_all_tasks_blocked()
        for ask in asks:
            await child.handle.tell(ask)
        gate.set()
    assert log == ["actor started", gate, *asks, "actor stopped"]
    assert [ask.reply.result() for ask in asks] == list("01234")


async def test_a_tell_that_waits_for_room_is_refused_by_the_stop(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child, gate = scripted(log, capacity=1), trio.Event()

    async def tell_late() -> None:
        with pytest.raises(ActorStopped):
            await child.handle.tell("late")
        gate.set()

    async with trio.open_nursery() as nursery, supervise([child]):
        await child.handle.tell(gate)
        await wait_all_tasks_blocked()
        await child.handle.tell("queued")
        nursery.start_soon(tell_late)
        await wait_all_tasks_blocked()
    assert log == ["actor started", gate, "queued", "actor stopped"]


async def test_a_message_handed_over_as_the_stop_begins_is_handled() -> None:
    log: list[Any] = []
    child = scripted(log)
    async with supervise([child]):
        await wait_all_tasks_blocked()
        assert child.handle.hint("handed over")
        child.mailbox.close()
    assert log == ["actor started", "handed over", "actor stopped"]


async def test_an_actor_that_waits_for_a_deadline_stops_at_once(autojump_clock: MockClock) -> None:
    class Patient(Scripted):
        def wake_at(self) -> float:
            return 1000.0

    log: list[Any] = []
    child: Child[Any] = Child("patient", lambda: Patient(log))
    async with supervise([child]):
        await child.handle.tell("message")
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0
    assert log == ["actor started", "message", "actor stopped"]


async def test_asks_that_nobody_answered_fail_at_the_stop() -> None:
    child = scripted([])
    later = Echo("later")
    async with supervise([child]):
        await child.handle.tell(later)
    with pytest.raises(ActorStopped):
        later.reply.result()


async def test_an_actor_that_does_not_stop_in_time_is_cut_off(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[Any] = []
    child = scripted(log, stop_within=3)
    parked, queued = Echo("later"), Echo("queued")
    async with supervise([scripted(log, "first"), child]) as tree:
        for message in (parked, trio.Event(), queued):
            await child.handle.tell(message)
            await wait_all_tasks_blocked()
    assert trio.current_time() == 3
    assert "actor stopped" not in log
    assert log[-1] == "first stopped"
    for ask in (parked, queued):
        with pytest.raises(ActorStopped):
            ask.reply.result()
    assert caplog.messages == [
        "actor 'actor' did not stop within 3 s and is cut off",
        "actor 'actor' ended with 2 messages that it did not handle",
    ]
    assert tree.snapshot()[1].state is State.STOPPED


async def test_an_outer_cancel_stops_the_children_in_order(autojump_clock: MockClock) -> None:
    log: list[Any] = []

    class Tidy(Scripted):
        async def stopped(self) -> None:
            await trio.sleep(1)
            await super().stopped()

    children: list[Child[Any]] = [Child(name, partial(Tidy, log, name)) for name in "abc"]
    with trio.CancelScope() as scope:
        async with supervise(children):
            log.clear()
            await children[0].handle.tell("queued")
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log == ["queued", "c stopped", "b stopped", "a stopped"]
    assert trio.current_time() == 3


async def test_an_outer_cancel_during_the_start_stops_those_that_have_started(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    slow: Child[Any] = Child("slow", lambda: SlowStart(log, "slow"))
    never = scripted(log, "never")
    ask = Echo("never")
    await never.handle.tell(ask)
    with trio.move_on_after(0.5) as scope:
        async with supervise([scripted(log, "first"), slow, never]):
            pytest.fail("the block must not run")
    assert scope.cancelled_caught
    assert log == ["first started", "slow tried", "first stopped"]
    assert trio.current_time() == 0.5
    with pytest.raises(ActorStopped):
        ask.reply.result()


async def test_an_outer_cancel_during_a_back_off_stops_at_once(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = scripted(log)
    with trio.move_on_after(1):
        async with supervise([child, scripted(log, "other")], limits=Limits(first_delay=5)):
            assert await child.handle.ask(LastWord("bye")) == "bye"
            await trio.sleep_forever()
    assert log == ["actor started", "other started", LastWord("bye"), "other stopped"]
    assert trio.current_time() == 1


async def test_a_stop_during_a_back_off_waits_for_the_restart_when_messages_are_left(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = scripted(log)
    queued = Echo("queued")
    async with supervise([child], limits=Limits(first_delay=2)):
        await child.handle.tell(crash_once())
        await trio.sleep(1)
        await child.handle.tell(queued)
    assert queued.reply.result() == "queued"
    assert log[-1] == "actor stopped"
    assert trio.current_time() == 2


async def test_that_wait_is_bounded_too(autojump_clock: MockClock) -> None:
    child = scripted([], stop_within=1)
    queued = Echo("queued")
    async with supervise([child], limits=Limits(first_delay=5)):
        await child.handle.tell(crash_once())
        await child.handle.tell(queued)
        await wait_all_tasks_blocked()
    with pytest.raises(ActorStopped):
        queued.reply.result()
    assert trio.current_time() == 1


async def test_a_stop_cuts_a_restart_that_hangs(autojump_clock: MockClock) -> None:
    class Hangs(Scripted):
        async def started(self) -> None:
            await trio.sleep_forever()

    log: list[Any] = []
    child = Child("actor", in_turn(lambda: Scripted(log), lambda: Hangs(log)), stop_within=2)
    async with supervise([child], limits=Limits(first_delay=0)):
        await child.handle.tell("boom")
        await wait_all_tasks_blocked()
    assert trio.current_time() == 2


async def test_a_crash_while_the_rest_is_handled_does_not_lose_the_rest(autojump_clock: MockClock) -> None:
    child = scripted([])
    gate, before, after = trio.Event(), Echo("before"), Echo("after")
    async with supervise([child]):
        await child.handle.tell(gate)
        await wait_all_tasks_blocked()
        for message in (before, "boom", after):
            await child.handle.tell(message)
        gate.set()
    assert before.reply.result() == "before"
    assert after.reply.result() == "after"
    assert len(child.dead_letters) == 1


async def test_a_crash_in_stopped_ends_the_child_and_the_others_stop_all_the_same(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[Any] = []
    bad: Child[Any] = Child("bad", lambda: DiesBadly(log))
    async with supervise([scripted(log, "first"), bad]) as tree:
        pass
    assert log[-1] == "first stopped"
    assert tree.snapshot()[1].state is State.FAILED
    assert caplog.messages == ["actor 'bad' crashed and is not started again"]


async def test_an_actor_that_raises_while_it_is_cut_off_has_crashed(autojump_clock: MockClock) -> None:
    class Sore(Scripted):
        async def obey(self, message: Any) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Boom("cut")

    child: Child[Any] = Child("sore", lambda: Sore([]), stop_within=1)
    async with supervise([child]) as tree:
        await child.handle.tell("hang")
        await wait_all_tasks_blocked()
    assert tree.snapshot()[0].last_error == "Boom: cut"


async def test_a_child_is_kept_while_later_ones_stop(autojump_clock: MockClock) -> None:
    """Those that stop first may still need it."""
    log: list[Any] = []
    storage = scripted(log, "storage")

    class Worker(Scripted):
        async def stopped(self) -> None:
            await storage.handle.tell(crash_once())
            self.log.append(await storage.handle.ask(Echo("stored")))

    worker: Child[Any] = Child("worker", lambda: Worker(log, "worker"))
    async with supervise([storage, worker]):
        pass
    assert "stored" in log
    assert log[-1] == "storage stopped"


async def test_a_failed_tree_cancels_the_block_and_stops_the_others_in_reverse(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    children = [scripted(log, name) for name in "abc"]
    with pytest.raises(TreeFailed) as caught:
        await run_and_tell(children[1], "boom", children, limits=Limits(restarts=0))
    assert isinstance(caught.value.__cause__, Boom)
    assert log[3:] == ["boom", "c stopped", "a stopped"]


@pytest.mark.parametrize("cause", [Boom("block"), KeyboardInterrupt()])
async def test_an_error_of_a_block_that_was_cancelled_leaves_with_the_tree_s_failure_in_its_context(
    cause: BaseException, autojump_clock: MockClock
) -> None:
    child = scripted([])

    async def run() -> None:
        async with supervise([child], limits=Limits(restarts=0)):
            await child.handle.tell("boom")
            try:
                await trio.sleep_forever()
            finally:
                raise cause

    with pytest.raises(type(cause)) as caught:
        await run()
    context: BaseException | None = caught.value
    while context is not None and not isinstance(context, TreeFailed):
        context = context.__context__
    assert isinstance(context, TreeFailed)
    assert isinstance(context.__cause__, Boom)


async def test_a_tree_that_failed_says_so_even_under_an_outer_cancel(autojump_clock: MockClock) -> None:
    child = scripted([])

    async def run(scope: trio.CancelScope) -> None:
        async with supervise([child], limits=Limits(restarts=0)):
            await child.handle.tell("boom")
            try:
                await trio.sleep_forever()
            finally:
                scope.cancel()

    with trio.CancelScope() as scope, pytest.raises(TreeFailed):
        await run(scope)
    assert scope.cancel_called


async def test_the_first_child_that_fails_a_tree_is_the_cause(autojump_clock: MockClock) -> None:
    a, b = scripted([], "a"), scripted([], "b")
    gate = trio.Event()

    async def run() -> None:
        async with supervise([a, b], limits=Limits(restarts=0)) as tree:
            trees.append(tree)
            await a.handle.tell(gate)
            await a.handle.tell("boom")
            await b.handle.tell("boom")
            try:
                await trio.sleep_forever()
            finally:
                gate.set()

    trees: list[Tree] = []
    with pytest.raises(TreeFailed, match="'b' crashed"):
        await run()
    assert [child.state for child in trees[0].snapshot()] == [State.FAILED, State.FAILED]


async def test_names_are_unique_in_a_tree() -> None:
    with pytest.raises(ValueError, match="2 children are named 'same'"):
        async with supervise([scripted([], "same"), scripted([], "same")]):
            pytest.fail("the block must not run")


async def test_a_child_runs_once() -> None:
    child = scripted([])
    async with supervise([child]):
        pass
    with pytest.raises(ValueError, match="'actor' has run before"):
        async with supervise([child]):
            pytest.fail("the block must not run")

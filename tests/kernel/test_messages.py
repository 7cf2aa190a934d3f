"""Tell, hint and ask; batches and deadlines."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Actor, ActorStopped, Child, supervise
from actors.kernel.handle import CHECKPOINT_EVERY
from tests.kernel.cast import Alarm, Boom, Echo, Scripted, scripted


class Batches(Actor[int]):
    """Keeps the batches that it is given, at most three messages each."""

    most = 3

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    async def receive(self, batch: Sequence[int]) -> None:
        self.batches.append(list(batch))


async def test_what_is_told_arrives_in_order() -> None:
    log: list[Any] = []
    child = scripted(log)
    async with supervise([child]):
        for number in range(200):
            await child.handle.tell(number)
    assert log == ["actor started", *range(200), "actor stopped"]


async def test_a_handle_takes_messages_before_its_tree_runs() -> None:
    log: list[Any] = []
    child = scripted(log)
    await child.handle.tell("early")
    async with supervise([child]):
        assert await child.handle.ask(Echo("hello")) == "hello"
    assert log[1] == "early"


async def test_what_waits_is_drained_in_batches_of_at_most_most() -> None:
    batches: list[list[int]] = []
    child = Child("batches", lambda: Batches(batches))
    for number in range(7):
        await child.handle.tell(number)
    async with supervise([child]):
        await wait_all_tasks_blocked()
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_an_ask_is_answered_or_fails_as_the_actor_says() -> None:
    child = scripted([])
    async with supervise([child]):
        assert await child.handle.ask(Echo("hello")) == "hello"
        refused = Echo("later")
        await child.handle.tell(refused)
        refused.fail(Boom("no"))
        with pytest.raises(Boom, match="no"):
            await refused.reply.wait()


async def test_an_ask_may_be_answered_long_after_receive_returned() -> None:
    child = scripted([])
    ask = Echo("later")
    async with supervise([child]):
        await child.handle.tell(ask)
        await wait_all_tasks_blocked()
        assert not ask.answered
        ask.answer("at last")
        assert await ask.reply.wait() == "at last"


async def test_an_ask_that_was_put_off_and_answered_is_forgotten() -> None:
    class Forgetful(Actor[Echo]):
        async def receive(self, batch: Sequence[Echo]) -> None:
            """Leaves the answer to others."""

    child: Child[Echo] = Child("forgetful", Forgetful)
    async with supervise([child]):
        ask = Echo("later")
        known = weakref.ref(ask)
        await child.handle.tell(ask)
        await wait_all_tasks_blocked()
        ask.answer("")
        del ask
        gc.collect()
        assert known() is None


async def test_a_cancelled_asker_waits_no_more_and_its_message_is_handled_all_the_same() -> None:
    log: list[Any] = []
    child = scripted(log)
    gate, ask = trio.Event(), Echo("late")
    async with supervise([child]):
        await child.handle.tell(gate)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await child.handle.ask(ask)
        gate.set()
    assert scope.cancelled_caught
    assert ask.answered


async def test_a_full_mailbox_makes_the_sender_wait_and_drops_nothing_but_hints() -> None:
    log: list[Any] = []
    child, gate = scripted(log, capacity=2), trio.Event()
    async with supervise([child]), trio.open_nursery() as nursery:
        await child.handle.tell(gate)
        await wait_all_tasks_blocked()
        assert child.handle.hint(1)
        await child.handle.tell(2)
        nursery.start_soon(child.handle.tell, 3)
        await wait_all_tasks_blocked()
        assert not child.handle.hint("dropped")
        statistics = child.handle.statistics()
        assert (statistics.depth, statistics.capacity, statistics.peak, statistics.hints_dropped) == (2, 2, 2, 1)
        assert statistics.handled == 0
        gate.set()
    assert log[1:-1] == [gate, 1, 2, 3]
    statistics = child.handle.statistics()
    assert (statistics.depth, statistics.received, statistics.handled, statistics.hints_dropped) == (0, 4, 4, 1)


async def test_a_stopped_actor_refuses_tells_asks_channels_and_drops_hints() -> None:
    child = scripted([])
    async with supervise([child]):
        pass
    with pytest.raises(ActorStopped, match="'actor' has stopped"):
        await child.handle.tell("late")
    with pytest.raises(ActorStopped):
        await child.handle.ask(Echo("late"))
    with pytest.raises(ActorStopped):
        child.handle.channel()
    assert not child.handle.hint("late")
    assert child.handle.statistics().hints_dropped == 1


async def test_a_teller_in_a_loop_lets_others_run() -> None:
    child = scripted([])
    for number in range(CHECKPOINT_EVERY - 1):
        with trio.testing.assert_no_checkpoints():
            await child.handle.tell(number)
    with trio.testing.assert_checkpoints():
        await child.handle.tell("the last of the round")


async def test_a_channel_is_the_mailbox_itself_and_closing_it_closes_nothing_else() -> None:
    log: list[Any] = []
    child = scripted(log)
    async with supervise([child]):
        async with child.handle.channel() as channel:
            await channel.send("by channel")
        await child.handle.tell("by handle")
    assert log[1:-1] == ["by channel", "by handle"]


async def test_a_stop_waits_for_no_channel_and_what_is_sent_after_it_is_refused() -> None:
    child = scripted([])
    async with supervise([child]):
        channel = child.handle.channel()
    with pytest.raises(trio.BrokenResourceError):
        await channel.send("late")
    channel.close()


async def test_an_actor_wakes_at_its_deadlines_with_or_without_messages(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    start = trio.current_time()
    child = Child("alarm", lambda: Alarm(log, [start + 1, start + 3]))
    async with supervise([child]):
        await trio.sleep(2)
        await child.handle.tell("message")
        await trio.sleep(2)
    assert log == ["actor started", ("woke", 0), "message", ("woke", 0), "actor stopped"]


async def test_a_deadline_is_kept_under_constant_load(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child: Child[Any] = Child("alarm", lambda: Alarm(log, [1.0]))

    def send_again() -> None:
        if len(log) < 50:
            autojump_clock.jump(0.25)
            child.handle.hint(send_again)

    async with supervise([child]):
        await child.handle.tell(send_again)
        await wait_all_tasks_blocked()
    woke = next(at for at, entry in enumerate(log) if isinstance(entry, tuple))
    assert log[woke] == ("woke", 0)
    assert woke == 5
    assert len(log) == 51


async def test_a_deadline_that_never_moves_on_does_not_put_messages_off() -> None:
    class Restless(Scripted):
        def wake_at(self) -> float:
            return 0.0 if len(self.log) < 3 else float("inf")

    log: list[Any] = []
    child = Child("restless", lambda: Restless(log))
    async with supervise([child]):
        await child.handle.tell("one")
        await child.handle.tell("two")
        await wait_all_tasks_blocked()
    assert log == ["actor started", "one", "two", "actor stopped"]


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_mailbox_holds_a_message_or_more(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity of 'actor'"):
        scripted([], capacity=capacity)


def test_handles_and_children_say_their_names() -> None:
    child = scripted([], name="clerk")
    assert repr(child) == "<Child 'clerk'>"
    assert repr(child.handle) == "<Handle 'clerk'>"

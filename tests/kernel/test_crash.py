"""What becomes of messages, asks and actors when an actor crashes."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import (
    Actor,
    ActorCrashed,
    ActorStopped,
    Child,
    Limits,
    Restart,
    State,
    Strategy,
    Tree,
    TreeFailed,
    supervise,
)
from tests.kernel.cast import Boom, DiesBadly, Echo, Scripted, crash_once, in_turn, run_and_tell, scripted

MANY = Limits(restarts=1000, first_delay=0)


def states(tree: Tree) -> list[State]:
    return [child.state for child in tree.snapshot()]


class CrashingOnce(Scripted):
    """Crashes at the end of the first batch that holds *at*; afterwards it does not."""

    def __init__(self, log: list[Any], at: int) -> None:
        super().__init__(log)
        self.at = at

    async def receive(self, batch: Sequence[Any]) -> None:
        self.log.extend(batch)
        if self.at in batch:
            raise Boom


async def test_a_crash_in_mid_stream_loses_nothing_and_repeats_only_the_batch_in_hand(
    autojump_clock: MockClock,
) -> None:
    log: list[Any] = []
    child = Child("actor", in_turn(lambda: CrashingOnce(log, at=5000), lambda: CrashingOnce(log, at=-1)))
    async with supervise([child]):
        for number in range(10_000):
            await child.handle.tell(number)
    messages = [entry for entry in log if isinstance(entry, int)]
    repeated = [number for number, times in Counter(messages).items() if times == 2]
    first, last = repeated[0], repeated[-1]
    assert 5000 in repeated
    assert len(repeated) <= Actor.most
    assert messages == [*range(last + 1), *range(first, 10_000)]


async def test_an_answered_ask_is_never_given_again(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = scripted(log)
    answered, open_ask = Echo("answered"), Echo("after the crash")
    for message in (answered, "boom", open_ask):
        await child.handle.tell(message)
    async with supervise([child]):
        assert await open_ask.reply.wait() == "after the crash"
    assert log.count(answered) == 1
    assert log.count(open_ask) == 1
    assert log.count("boom") == 2


async def test_an_ask_that_is_answered_while_it_waits_to_be_given_again_is_not(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = scripted(log, "actor")
    later = Echo("later")
    for message in ("boom", later):
        await child.handle.tell(message)
    async with supervise([child], limits=Limits(first_delay=1)):
        await trio.sleep(0.5)
        later.answer("by someone else")
        await trio.sleep(2)
    assert later not in log


async def test_a_message_that_crashes_its_actor_twice_is_a_dead_letter_and_the_rest_live(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Fragile(Scripted):
        async def obey(self, message: Any) -> None:
            if message == Echo("later bad"):
                raise Boom("bad message")
            await super().obey(message)

    child: Child[Any] = Child("fragile", lambda: Fragile([]))
    before, bad, after = Echo("before"), Echo("later bad"), Echo("after")
    for message in (before, bad, after):
        await child.handle.tell(message)
    async with supervise([child]):
        assert await after.reply.wait() == "after"
        assert before.reply.result() == "before"
        with pytest.raises(ActorCrashed, match="'fragile' crashed: Boom: bad message") as caught:
            await bad.reply.wait()
        assert isinstance(caught.value.__cause__, Boom)
    (dead,) = child.dead_letters
    assert dead.message is bad
    assert isinstance(dead.error, Boom)
    assert child.handle.statistics().dead_letters == 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].name == "actors.kernel"
    assert errors[0].exc_info is not None
    assert errors[0].exc_info[1] is dead.error


async def test_a_message_without_an_answer_can_be_a_dead_letter_too(autojump_clock: MockClock) -> None:
    child = scripted([])
    async with supervise([child]):
        await child.handle.tell("boom")
        assert await child.handle.ask(Echo("alive")) == "alive"
    assert [dead.message for dead in child.dead_letters] == ["boom"]


async def test_an_ask_that_is_answered_before_its_second_crash_is_no_dead_letter(autojump_clock: MockClock) -> None:
    class AnswersTooLate(Scripted):
        async def receive(self, batch: Sequence[Any]) -> None:
            for message in batch:
                if self.log:
                    message.answer("in time")
                self.log.append(message)
                raise Boom

        async def started(self) -> None:
            """Logs messages alone."""

    log: list[Any] = []
    child: Child[Any] = Child("actor", lambda: AnswersTooLate(log))
    async with supervise([child]):
        assert await child.handle.ask(Echo("a")) == "in time"
        await trio.sleep(1)
    assert child.dead_letters == ()


async def test_an_ask_that_was_put_off_fails_when_its_actor_crashes(autojump_clock: MockClock) -> None:
    child = scripted([])
    later = Echo("later")
    async with supervise([child]):
        await child.handle.tell(later)
        await wait_all_tasks_blocked()
        await child.handle.tell("boom")
        with pytest.raises(ActorCrashed) as caught:
            await later.reply.wait()
    assert isinstance(caught.value.__cause__, Boom)


async def test_an_actor_that_crashes_on_every_message_fails_its_tree(autojump_clock: MockClock) -> None:
    child = scripted([])
    for _ in range(10):
        await child.handle.tell("boom")
    with pytest.raises(TreeFailed, match="'actor' crashed; 5 restarts in 10 s are the limit") as caught:
        await run_and_tell(child, "boom", [child])
    assert isinstance(caught.value.__cause__, Boom)
    with pytest.raises(ActorStopped):
        await child.handle.tell("late")


class Stillborn(Scripted):
    async def started(self) -> None:
        await super().started()
        raise Boom("at start")


async def test_an_actor_that_crashes_at_every_start_fails_its_tree_before_the_block(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    first, second = scripted(log, "first"), Child("second", lambda: Stillborn(log, "second"))
    queued = Echo("queued")
    await second.handle.tell(queued)
    with pytest.raises(TreeFailed) as caught:
        async with supervise([first, second]):
            pytest.fail("the block must not run")
    assert isinstance(caught.value.__cause__, Boom)
    assert log == ["first started", *["second started"] * 6, "first stopped"]
    with pytest.raises(ActorStopped):
        queued.reply.result()


async def test_an_actor_that_crashes_at_its_first_start_is_started_again(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = Child("actor", in_turn(lambda: Stillborn(log), lambda: Scripted(log)))
    async with supervise([child]) as tree:
        assert tree.snapshot()[0].restarts == 1
        assert await child.handle.ask(Echo("alive")) == "alive"


async def test_a_create_that_raises_is_a_crash(autojump_clock: MockClock) -> None:
    def failing() -> Scripted:
        raise Boom("no instance")

    child = Child("actor", in_turn(failing, lambda: Scripted([])))
    async with supervise([child]) as tree:
        assert tree.snapshot()[0].last_error == "Boom: no instance"


async def test_a_crash_in_wake_is_a_crash(autojump_clock: MockClock) -> None:
    class BadAlarm(Scripted):
        def wake_at(self) -> float:
            return 5.0

        async def wake(self) -> None:
            raise Boom("in wake")

    log: list[Any] = []
    child = Child("actor", in_turn(lambda: BadAlarm(log), lambda: Scripted(log)))
    async with supervise([child]) as tree:
        await trio.sleep(6)
        assert tree.snapshot()[0].last_error == "Boom: in wake"
    assert log == ["actor started", "actor started", "actor stopped"]


async def test_a_group_out_of_an_actors_nursery_is_a_crash(autojump_clock: MockClock) -> None:
    class WithNursery(Scripted):
        async def obey(self, message: Any) -> None:
            async with trio.open_nursery():
                await super().obey(message)

    child: Child[Any] = Child("actor", lambda: WithNursery([]))
    async with supervise([child]) as tree:
        await child.handle.tell("boom")
        await trio.sleep(1)
        assert (tree.snapshot()[0].last_error or "").startswith("ExceptionGroup")


async def test_a_crash_is_logged_once_with_its_cause(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    child = Child("actor", in_turn(lambda: Stillborn([]), lambda: Scripted([])))
    async with supervise([child]):
        pass
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("actors.kernel", logging.WARNING)
    assert record.exc_info is not None
    assert record.message == "actor 'actor' crashed and starts again in 0.05 s"


async def test_restarts_back_off(autojump_clock: MockClock) -> None:
    times: list[float] = []

    class Timed(Scripted):
        async def started(self) -> None:
            times.append(trio.current_time())
            raise Boom

    child: Child[Any] = Child("actor", lambda: Timed([]))
    limits = Limits(restarts=4, within=100, first_delay=1, multiplier=2, most_delay=5)
    with pytest.raises(TreeFailed):
        async with supervise([child], limits=limits):
            pytest.fail("the block must not run")
    assert times == [0, 1, 3, 7, 12]


@pytest.mark.parametrize(
    ("restart", "after_crash", "after_stop"),
    [
        (Restart.PERMANENT, State.RUNNING, State.RUNNING),
        (Restart.TRANSIENT, State.RUNNING, State.STOPPED),
        (Restart.TEMPORARY, State.FAILED, State.STOPPED),
    ],
)
async def test_what_follows_a_crash_and_a_stop(
    restart: Restart, after_crash: State, after_stop: State, autojump_clock: MockClock
) -> None:
    crashing, stopping = scripted([], "crashing", restart=restart), scripted([], "stopping", restart=restart)
    async with supervise([crashing, stopping], limits=MANY) as tree:
        await crashing.handle.tell("boom")
        await stopping.handle.tell("stop")
        await trio.sleep(1)
        assert states(tree) == [after_crash, after_stop]


async def test_an_ended_child_fails_its_asks_and_refuses_messages(autojump_clock: MockClock) -> None:
    child = scripted([], restart=Restart.TEMPORARY)
    parked, queued = Echo("later"), Echo("queued")
    async with supervise([child]):
        for message in (parked, "boom", queued):
            await child.handle.tell(message)
        await trio.sleep(1)
        for ask in (parked, queued):
            with pytest.raises(ActorStopped):
                ask.reply.result()
        with pytest.raises(ActorStopped):
            await child.handle.tell("late")


async def test_what_an_actor_was_handling_when_it_raised_stop_counts_as_handled(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[Any] = []
    child = scripted(log)
    async with supervise([child]):
        later = Echo("later")
        await child.handle.tell(later)
        await child.handle.tell("stop")
        with pytest.raises(ActorStopped):
            await later.reply.wait()
        assert await child.handle.ask(Echo("again")) == "again"
    assert log == ["actor started", later, "stop", "actor stopped", "actor started", Echo("again"), "actor stopped"]
    assert caplog.messages == ["actor 'actor' finished and starts again in 0.05 s"]


async def test_stopped_is_not_called_after_a_crash(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    child = scripted(log, restart=Restart.TEMPORARY)
    async with supervise([child]):
        await child.handle.tell("boom")
    assert log == ["actor started", "boom"]


@pytest.mark.parametrize(
    ("strategy", "lives"),
    [
        (Strategy.ONE_FOR_ONE, ["b started"]),
        (
            Strategy.ONE_FOR_ALL,
            ["d stopped", "c stopped", "a stopped", "a started", "b started", "c started", "d started"],
        ),
        (Strategy.REST_FOR_ONE, ["d stopped", "c stopped", "b started", "c started", "d started"]),
    ],
)
async def test_siblings_go_down_in_reverse_order_and_come_back_in_order(
    strategy: Strategy, lives: list[str], autojump_clock: MockClock
) -> None:
    log: list[Any] = []
    children = [scripted(log, name) for name in "abcd"]
    async with supervise(children, strategy=strategy) as tree:
        log.clear()
        crash = crash_once()
        await children[1].handle.tell(crash)
        await trio.sleep(0.01)
        assert states(tree)[1] is State.RESTARTING
        await trio.sleep(1)
        assert states(tree) == [State.RUNNING] * 4
        log.remove(crash)
        log.remove(crash)
        assert log == lives


async def test_the_mailboxes_of_siblings_survive(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    a, b = scripted(log, "a"), scripted(log, "b")
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL, limits=Limits(first_delay=1)):
        await a.handle.tell("boom")
        await trio.sleep(0.5)
        queued = Echo("queued")
        await b.handle.tell(queued)
        assert await queued.reply.wait() == "queued"


async def test_a_sibling_that_hangs_is_cut_off_and_its_batch_is_given_again(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[Any] = []
    gate = trio.Event()
    a, b = scripted(log, "a"), scripted(log, "b", stop_within=3)
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL, limits=Limits(first_delay=0)):
        await b.handle.tell(gate)
        await wait_all_tasks_blocked()
        await a.handle.tell("boom")
        await trio.sleep(4)
        gate.set()
        assert await b.handle.ask(Echo("alive")) == "alive"
    assert log.count(gate) > 1
    assert "actor 'b' did not stop within 3 s and is cut off" in caplog.messages
    assert b.dead_letters == ()


async def test_asks_put_off_by_a_sibling_fail_when_it_goes_down(autojump_clock: MockClock) -> None:
    a, b = scripted([], "a"), scripted([], "b")
    later = Echo("later")
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL):
        await b.handle.tell(later)
        await wait_all_tasks_blocked()
        await a.handle.tell("boom")
        with pytest.raises(ActorStopped):
            await later.reply.wait()


async def test_a_sibling_that_is_starting_makes_room_at_once(autojump_clock: MockClock) -> None:
    """It may well be waiting for the one that crashed."""
    log: list[Any] = []
    a = scripted(log, "a")

    class Asker(Scripted):
        async def started(self) -> None:
            await super().started()
            await a.handle.tell(crash_once())
            await a.handle.ask(Echo("hello"))
            self.log.append("answered")

    b: Child[Any] = Child("b", in_turn(lambda: Asker(log, "b"), lambda: Scripted(log, "b")))
    with trio.fail_after(1):
        async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL):
            pass
    assert "answered" not in log
    assert [entry for entry in log if str(entry).endswith("stopped")] == ["b stopped", "a stopped"]


async def test_a_sibling_that_crashes_on_its_way_down_comes_back_with_the_others(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    a = scripted([], "a")
    b: Child[Any] = Child("b", in_turn(lambda: DiesBadly([]), lambda: Scripted([])))
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL) as tree:
        await a.handle.tell("boom")
        await trio.sleep(1)
        assert states(tree) == [State.RUNNING] * 2
        assert tree.snapshot()[1].last_error == "Boom: in stopped"
    assert "actor 'b' crashed while it went down with a sibling" in caplog.messages


async def test_two_siblings_that_crash_together_are_started_again_together(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    children = [scripted(log, name) for name in "abc"]
    async with supervise(children, strategy=Strategy.ONE_FOR_ALL, limits=Limits(restarts=10)) as tree:
        children[2].handle.hint("boom")
        children[0].handle.hint("boom")
        await trio.sleep(5)
        assert states(tree) == [State.RUNNING] * 3
        for child in children:
            assert await child.handle.ask(Echo("alive")) == "alive"


async def test_a_temporary_child_takes_no_sibling_down(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    a, b = scripted(log, "a"), scripted(log, "b", restart=Restart.TEMPORARY)
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL) as tree:
        await b.handle.tell("boom")
        await trio.sleep(1)
        assert states(tree) == [State.RUNNING, State.FAILED]
    assert log.count("a started") == 1


async def test_a_temporary_child_that_goes_down_with_a_sibling_stays_down(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    a, b = scripted(log, "a"), scripted(log, "b", restart=Restart.TEMPORARY)
    async with supervise([a, b], strategy=Strategy.ONE_FOR_ALL) as tree:
        await a.handle.tell("boom")
        await trio.sleep(1)
        assert states(tree) == [State.RUNNING, State.STOPPED]


async def test_one_back_off_delays_no_other_child(autojump_clock: MockClock) -> None:
    a, b = scripted([], "a"), scripted([], "b")
    async with supervise([a, b], limits=Limits(first_delay=5)) as tree:
        await a.handle.tell(crash_once())
        await trio.sleep(2)
        await b.handle.tell(crash_once())
        await trio.sleep(2)
        assert states(tree) == [State.RESTARTING, State.RESTARTING]
        await trio.sleep(2)
        assert states(tree) == [State.RUNNING, State.RESTARTING]
        await trio.sleep(2)
        assert states(tree) == [State.RUNNING, State.RUNNING]


async def test_a_system_exit_in_an_actor_leaves_unwrapped_after_the_stop(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    a = scripted(log, "a")
    b = scripted(log, "b")
    with pytest.raises(SystemExit, match="3"):
        await run_and_tell(b, lambda: sys.exit(3), [a, b])
    assert log[-1] == "a stopped"

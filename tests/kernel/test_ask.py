from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from actors.kernel import Ask
from tests.kernel.cast import Boom, Echo


def test_the_first_answer_wins() -> None:
    ask = Echo("a")
    ask.answer("first")
    ask.answer("second")
    ask.fail(Boom())
    assert ask.reply.result() == "first"


def test_the_first_failure_wins_too() -> None:
    ask = Echo("a")
    ask.fail(Boom("first"))
    ask.answer("second")
    with pytest.raises(Boom, match="first"):
        ask.reply.result()


def test_an_answer_may_be_none() -> None:
    @attrs.frozen
    class Forget(Ask[None]):
        pass

    ask = Forget()
    ask.answer(None)
    ask.fail(Boom())
    assert ask.answered
    ask.reply.result()


def test_a_result_that_is_not_there_would_block() -> None:
    ask = Echo("a")
    assert not ask.answered
    with pytest.raises(trio.WouldBlock):
        ask.reply.result()


async def test_every_waiter_gets_the_answer() -> None:
    ask, got = Echo("a"), []

    async def wait() -> None:
        got.append(await ask.reply.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ask.answer("there")
    assert got == ["there", "there"]


async def test_a_waiter_that_is_cancelled_waits_no_more_and_the_others_do() -> None:
    ask, got = Echo("a"), []

    async def wait(scope: trio.CancelScope) -> None:
        with scope:
            got.append(await ask.reply.wait())

    gone, stays = trio.CancelScope(), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, gone)
        nursery.start_soon(wait, stays)
        await trio.testing.wait_all_tasks_blocked()
        gone.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert gone.cancelled_caught
        ask.answer("there")
    assert got == ["there"]


@pytest.mark.parametrize("first", ["the answer", "the cancel"])
async def test_of_an_answer_and_a_cancel_at_once_the_first_counts(first: str) -> None:
    ask, got = Echo("a"), []

    async def wait() -> None:
        got.append(await ask.reply.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        if first == "the cancel":
            nursery.cancel_scope.cancel()
        ask.answer("there")
        nursery.cancel_scope.cancel()
    assert got == (["there"] if first == "the answer" else [])


async def test_who_is_cancelled_already_does_not_begin_to_wait() -> None:
    ask = Echo("a")
    with trio.CancelScope() as scope:
        scope.cancel()
        await ask.reply.wait()
    assert scope.cancelled_caught
    ask.answer("there")
    assert await ask.reply.wait() == "there"


async def test_waiting_for_an_answer_that_is_there_is_a_checkpoint() -> None:
    ask = Echo("a")
    ask.answer("there")
    with trio.testing.assert_checkpoints():
        assert await ask.reply.wait() == "there"


def test_callbacks_run_when_the_answer_comes_and_at_once_after_it() -> None:
    ask, called = Echo("a"), []
    ask.reply.then(lambda: called.append("before"))
    assert called == []
    ask.answer("there")
    assert called == ["before"]
    ask.reply.then(lambda: called.append("after"))
    assert called == ["before", "after"]


def test_a_reply_is_no_part_of_what_an_ask_says() -> None:
    one, other = Echo("a"), Echo("a")
    one.answer("there")
    assert one == other
    assert repr(one) == "Echo(text='a')"

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.kernel import ActorStopped, Probe
from tests.kernel.cast import Echo


async def test_a_probe_stands_in_for_a_peer() -> None:
    probe: Probe[Echo] = Probe()
    answers: list[str] = []

    async def peer() -> None:
        answers.append(await probe.handle.ask(Echo("question")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer)
        ask = await probe.next()
        assert ask.text == "question"
        ask.answer("answer")
    assert answers == ["answer"]


async def test_a_probe_gives_all_that_is_there_without_waiting() -> None:
    probe: Probe[int] = Probe(capacity=3)
    assert probe.take_all() == []
    for number in range(3):
        assert probe.handle.hint(number)
    assert not probe.handle.hint(3)
    assert probe.take_all() == [0, 1, 2]


async def test_a_stopped_probe_fails_its_asks_and_refuses_messages() -> None:
    probe: Probe[Echo] = Probe("clerk")
    taken, queued = Echo("taken"), Echo("queued")
    await probe.handle.tell(taken)
    assert await probe.next() is taken
    await probe.handle.tell(queued)
    probe.stop()
    for ask in (taken, queued):
        with pytest.raises(ActorStopped, match="'clerk'"):
            ask.reply.result()
    with pytest.raises(ActorStopped):
        await probe.handle.tell(Echo("late"))
    with pytest.raises(ActorStopped):
        await probe.next()


async def test_a_probe_that_is_stopped_wakes_who_waits_for_it() -> None:
    probe: Probe[int] = Probe()

    async def wait() -> None:
        with pytest.raises(ActorStopped):
            await probe.next()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        probe.stop()

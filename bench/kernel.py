"""What a message costs: asks a second, and a drained tell against a bare channel hop, in one run.

The hop is one message through a bare trio memory channel, one at a time: a
task that awaits `send`, and one that awaits `receive`. It is measured with no
buffer, where each message is a switch of tasks, and with the mailbox's own
capacity. The ratio, and the goal, use the cheaper of the two.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
import trio

from actors.kernel import Actor, Ask, Child, Handle, supervise
from bench.goals import Goal

CAPACITY = 1000
ASKS = 20_000
MESSAGES = 200_000
HOPS = 50_000
ROUNDS = 5
"""Each figure is the best of these: what else the machine does can only make it worse."""

GOALS = {"drained_tell_us": Goal(at_most=0.1, of="hop_us")}


@attrs.frozen
class Double(Ask[int]):
    """Answers twice the number."""

    number: int


class Doubler(Actor[Double]):
    async def receive(self, batch: Sequence[Double]) -> None:
        for ask in batch:
            ask.answer(2 * ask.number)


class Counter(Actor[int]):
    """Counts down the messages that are still to come."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.all_here = trio.Event()

    async def receive(self, batch: Sequence[int]) -> None:
        self.expected -= len(batch)
        if self.expected <= 0:
            self.all_here.set()


def run(scale: float = 1.0) -> dict[str, float]:
    """Measure with *scale* times the messages, *scale* in (0, 1]. Times are µs a message."""
    return trio.run(_measure, scale)


async def _measure(scale: float) -> dict[str, float]:
    asks, messages, hops = (max(100, int(scale * count / ROUNDS)) for count in (ASKS, MESSAGES, HOPS))
    rounds = [await _round(asks, messages, hops) for _ in range(ROUNDS)]
    figures = {name: _best(name, [figures[name] for figures in rounds]) for name in rounds[0]}
    hop = min(figures["hop_unbuffered_us"], figures["hop_buffered_us"])
    return {**figures, "hop_us": hop, "drained_tell_per_hop": figures["drained_tell_us"] / hop}


async def _round(asks: int, messages: int, hops: int) -> dict[str, float]:
    return {
        "asks_per_second_1_asker": await _asks(asks, askers=1),
        "asks_per_second_100_askers": await _asks(asks, askers=100),
        "drained_tell_us": await _drained_tell(messages),
        "hop_unbuffered_us": await _hop(hops, capacity=0),
        "hop_buffered_us": await _hop(hops, capacity=CAPACITY),
    }


def _best(name: str, values: list[float]) -> float:
    return min(values) if name.endswith("_us") else max(values)


async def _asks(count: int, askers: int) -> float:
    child = Child("doubler", Doubler)
    async with supervise([child]):
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(askers):
                nursery.start_soon(_ask, child.handle, count // askers)
        return count // askers * askers / (time.perf_counter() - start)


async def _ask(handle: Handle[Double], count: int) -> None:
    for number in range(count):
        await handle.ask(Double(number))


async def _drained_tell(count: int) -> float:
    counter = Counter(count)
    child: Child[int] = Child("counter", lambda: counter, capacity=CAPACITY)
    async with supervise([child]):
        start = time.perf_counter()
        for number in range(count):
            await child.handle.tell(number)
        await counter.all_here.wait()
        return (time.perf_counter() - start) / count * 1e6


async def _hop(count: int, capacity: int) -> float:
    sender, receiver = trio.open_memory_channel[int](capacity)
    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, sender, count)
        async with receiver:
            async for _ in receiver:
                pass
    return (time.perf_counter() - start) / count * 1e6


async def _send(sender: trio.MemorySendChannel[int], count: int) -> None:
    async with sender:
        for number in range(count):
            await sender.send(number)


def main() -> None:
    for name, figure in run().items():
        print(f"{name:<28}{figure:>14,.3f}")


if __name__ == "__main__":
    main()

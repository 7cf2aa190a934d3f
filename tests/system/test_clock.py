from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.system.clock import Chance, Clock


async def test_wall_time_does_not_step_back(autojump_clock: MockClock) -> None:
    wall = [1000.0]
    clock = Clock(lambda: wall[0])
    wall[0] = 400.0
    assert clock.wall() == 1000.0
    autojump_clock.jump(5)
    assert clock.wall() == 1005.0
    wall[0] = 1006.0
    assert clock.wall() == 1006.0


async def test_wall_time_follows_a_step_forward_at_once(autojump_clock: MockClock) -> None:
    wall = [1000.0]
    clock = Clock(lambda: wall[0])
    wall[0] = 9000.0
    assert clock.wall() == 9000.0
    assert clock.until(9010.0) == autojump_clock.current_time() + 10


async def test_virtual_wall_time_goes_with_trios_clock(autojump_clock: MockClock) -> None:
    clock = Clock(None)
    before = clock.wall()
    autojump_clock.jump(3600)
    assert clock.wall() - before == pytest.approx(3600)


async def test_what_is_past_is_due_now(autojump_clock: MockClock) -> None:
    clock = Clock(None)
    assert clock.until(clock.wall() - 100) == autojump_clock.current_time()


def test_a_seed_makes_chance_repeat_itself() -> None:
    draws = [(chance.draw(), chance.nonce(), chance.task_id(1.5)) for chance in (Chance(7), Chance(7), Chance())]
    assert draws[0] == draws[1] != draws[2]
    assert 0 <= draws[0][1] < 1 << 63


async def test_any_thread_may_ask_for_the_wall_time() -> None:
    clock = Clock()
    before = clock.wall()
    assert before <= await trio.to_thread.run_sync(clock.wall) <= clock.wall()


async def test_in_virtual_time_threads_see_the_virtual_time(autojump_clock: MockClock) -> None:
    clock = Clock(None)
    autojump_clock.jump(3600)
    assert await trio.to_thread.run_sync(clock.wall) == clock.wall()

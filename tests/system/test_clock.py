from __future__ import annotations

import time

import pytest
import trio
from trio.testing import MockClock

from actors.system.clock import FALLING_BACK, Chance, Clock, ServerTime


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


def test_a_servers_time_is_that_of_the_last_look_and_goes_on_by_the_monotonic_clock() -> None:
    monotonic = [50.0]
    server = ServerTime(lambda: monotonic[0])
    server.look(1000.0)
    monotonic[0] = 57.5
    assert server.read() == 1007.5
    server.look(1007.0)  # it had been asked, and its answer took half a second
    assert server.read() == 1007.0


async def test_the_clocks_of_machines_do_not_matter_to_a_servers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ServerTime()
    server.look(1000.0)
    clock = Clock(server.read, FALLING_BACK)
    for wrong in (-600.0, 600.0, 1e9):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        assert 1000.0 <= clock.wall() < 1005.0


async def test_who_is_ahead_of_a_server_goes_slower_until_it_has_caught_up(autojump_clock: MockClock) -> None:
    wall = [1000.0]
    clock = Clock(lambda: wall[0], falling_back=0.1)
    autojump_clock.jump(10)
    wall[0] = 1008.0  # drifted apart, or a server whose clock was put back
    assert clock.wall() == pytest.approx(1009.0)
    autojump_clock.jump(10)
    wall[0] = 1018.0
    assert clock.wall() == pytest.approx(1018.0)
    autojump_clock.jump(10)
    wall[0] = 1028.0
    assert clock.wall() == 1028.0

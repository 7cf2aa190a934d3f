"""The node that does the housekeeping of all is stopped in the middle of it."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from actors.core.lifecycle import Transition
from actors.store import schema
from actors.store.cleanup import LEAD
from actors.store.engine import make_engine
from tests.store.world import World, room
from tests.whole.herd import end_in_order
from tests.whole.process import Program, poll
from tests.whole.table import OnServer

DAY = 86_400.0
OLD = 40
LEASE = 1.0
"""Of the program's nodes, in seconds."""
LEADERS = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LEAD} AND granted"


def leave_old_tasks(url: str) -> None:
    """Tasks that were completed eight days ago."""
    engine = make_engine(url)
    with engine.begin() as connection:
        schema.create(connection)
        world = World(connection, now=time.time() - 8 * DAY)
        world.submit(*(world.new(task_id=str(uuid.uuid4())) for _ in range(OLD)))
        world.settle(*(world.change(row, Transition.COMPLETE) for row in world.claim(room(OLD), idle=True)))
    engine.dispose()


def test_when_the_leader_is_on_a_paused_node_another_leads_and_nothing_is_done_twice(
    server: OnServer, start: Callable[..., Program], tmp_path: Path
) -> None:
    leave_old_tasks(server.url)
    leader = start("leader", server.url, tmp_path, "waits")
    leader.line("leading")
    leader.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, leader.pid, os.WSTOPPED)
    (before,) = server.rows(LEADERS)
    assert server.by_status()["completed"] == OLD
    other = start("leader", server.url, tmp_path, "goes on")
    other.line("ready")
    poll(lambda: server.by_status()["completed"] == 0, within=LEASE + 5)
    assert before not in server.rows(LEADERS)
    (tmp_path / "go").touch()
    leader.signal(signal.SIGCONT)  # and goes on with a transaction that has been ended
    poll(lambda: len(server.rows("SELECT node FROM actors_node")) == 2)
    end_in_order(other)
    leave_old_tasks(server.url)
    poll(lambda: server.by_status()["completed"] == 0)
    end_in_order(leader)
    server.assert_exact()
    (counted,) = server.rows("SELECT sum(value)::integer AS n FROM actors_counter WHERE name = 'completed'")
    assert counted["n"] == 2 * OLD

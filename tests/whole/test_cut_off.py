"""A node that lives, and whose lease is in danger: its event loop is blocked, its way to the server is."""

from __future__ import annotations

import json
import time

import pytest

from tests.relay import Wire
from tests.whole.herd import Herd, end_in_order
from tests.whole.process import Program, poll

LEASE = 1.0


def beaten_while_blocked(herd: Herd, node: Program) -> float:
    """For how many seconds its heart has beaten without the event loop, which makes the snapshot."""
    (row,) = herd.server.rows("SELECT * FROM actors_node WHERE node = %s", herd.names[node.pid])
    return float(row["heartbeat_at"] - json.loads(row["snapshot"])["at"]) if row["snapshot"] else -1.0


def test_a_node_whose_event_loop_is_blocked_by_cpu_work_for_longer_than_its_lease_keeps_its_tasks(herd: Herd) -> None:
    node, other = herd.node(lease=2.0), herd.node(lease=2.0)
    node.tell("slow 5 0.5")
    node.line("submitted")
    poll(lambda: beaten_while_blocked(herd, node) > 0)
    node.tell("busy 5.0")
    poll(lambda: beaten_while_blocked(herd, node) > 3.0, every=0.05)
    assert herd.running_on(other) == {}
    end_in_order(node, other)
    herd.work_off()
    herd.assert_all_ran_once()


def running(node: Program) -> int:
    """How many handlers *node* itself says that it runs."""
    node.tell("count")
    return int(node.line("running")[0])


@pytest.mark.timeout(120)
def test_a_node_that_cannot_renew_its_lease_while_its_work_goes_on_is_taken_over_and_refused(herd: Herd) -> None:
    with Wire(herd.server.url) as wire:
        node = herd.node(lease=LEASE, url=wire.url)
        node.tell("held 20")
        node.line("submitted")
        poll(lambda: len(herd.running_on(node)) == 20)
        other = herd.node(lease=LEASE)
        wire.stand_still()
        stands_still_since = time.monotonic()
        poll(lambda: len(herd.running_on(other)) == 20)
        assert time.monotonic() - stands_still_since < LEASE + 5
        assert running(node) == 20, "the work did not go on"
        assert herd.running_on(other) == dict.fromkeys(herd.acknowledged(), 2)
        (herd.folder / "go").touch()
        poll(lambda: running(node) == 0)
        wire.flow()
        assert node.line("fenced")[1] == "1"
        poll(lambda: herd.server.rows("SELECT count(*) AS n FROM actors_node")[0]["n"] == 2)
        poll(lambda: not herd.running_on(other))
        end_in_order(other)
        node.tell("slow 5 0.1")  # it is a node like any other again
        node.line("submitted")
        poll(lambda: len(herd.executed()) == 25 and not herd.running_on(node))
        end_in_order(node)
    herd.work_off()
    tasks = herd.assert_all_done_once()
    assert {row["crash_count"] for row in tasks.values()} == {0}, "a lost lease was charged"
    outcomes = [attempt["outcome"] for rows in herd.server.attempts().values() for attempt in rows]
    assert outcomes == ["lost"] * 20

"""Nodes behind a pooler in transaction mode, where every transaction may run in another session."""

from __future__ import annotations

import os

import pytest

from tests.pooler import TransactionPooler
from tests.postgres import ENVIRONMENT
from tests.whole.herd import Herd, end_in_order, times_to_be_back
from tests.whole.process import Program, poll

LEASE = 1.0
POLLING = """
    SELECT count(*) AS n FROM actors_node WHERE lock_key IS NULL AND snapshot::json ->> 'notifications' = 'false'
"""

PATIENT = "patient"


def types_on(herd: Herd, node: Program) -> set[str]:
    """The types of what *node* runs."""
    running = herd.server.tasks("status = 'running'").values()
    return {row["task_type"] for row in running if row["node"] == herd.names[node.pid]}


@pytest.mark.skipif(ENVIRONMENT in os.environ, reason="somebody's server may ask for a password")
@pytest.mark.timeout(120)
def test_nodes_behind_a_pooler_in_transaction_mode_poll_and_take_over_when_a_lease_is_over(herd: Herd) -> None:
    with TransactionPooler(herd.server.url) as pooler:
        victim, survivor = (herd.node(lease=LEASE, submitters=3, url=pooler.url) for _ in range(2))
        poll(lambda: len(herd.acknowledged()) > 100)
        poll(lambda: herd.server.rows(POLLING)[0]["n"] == 2)
        for node in (victim, survivor):
            node.tell("patient 5")
        poll(lambda: PATIENT in types_on(herd, victim))
        dead_at = victim.kill()
        left = herd.running_on(victim)
        done = len(herd.acknowledged())
        poll(lambda: not herd.running_on(victim))
        poll(lambda: len(herd.acknowledged()) > done + 30)
        end_in_order(survivor)
    assert pooler.changes > 100, "nobody had to change sessions"
    herd.work_off()
    tasks = herd.assert_all_done_once()
    assert {row["crash_count"] for row in tasks.values()} == {0}
    assert left
    assert max(times_to_be_back(herd, [(dead_at, left)])) < LEASE + 5

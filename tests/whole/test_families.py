"""kill -9 at random moments of a program whose handlers submit: children come with the outcome, all or none."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.whole.process import Program
from tests.whole.table import File

ROUNDS = int(os.environ.get("ACTORS_KILL_ROUNDS", "8"))
SEED = int(os.environ.get("ACTORS_KILL_SEED", "20240608"))


def sizes_of_families(file: File) -> dict[str, tuple[int, int]]:
    """How many children each completed parent has, and how many it submitted; fails if another parent has any."""
    parents = {row["task_id"]: row for row in file.tasks("task_type != 'child'").values()}
    counts: Counter[str] = Counter()
    for row in file.tasks("task_type = 'child'").values():
        names = json.loads(row["metadata"])
        parent = parents[names["parent"]]
        assert (parent["status"], parent["attempt"]) == ("completed", names["attempt"]), parent
        counts[names["parent"]] += 1
    return {
        task_id: (counts[task_id], json.loads(row["input_data"])["count"])
        for task_id, row in parents.items()
        if row["status"] == "completed"
    }


def assert_whole(file: File) -> int:
    """Every completed parent has all of its children; how many parents there are."""
    families = sizes_of_families(file)
    broken = {task_id: sizes for task_id, sizes in families.items() if sizes[0] != sizes[1]}
    assert broken == {}
    return len(families)


@pytest.mark.timeout(60 + 6 * ROUNDS)
def test_a_completed_parent_has_all_of_its_children_and_no_other_parent_has_any_whenever_the_process_is_killed(
    start: Callable[..., Program], file: File
) -> None:
    print(f"\nkills: {ROUNDS} rounds, ACTORS_KILL_SEED={SEED}")
    chance, running = random.Random(SEED), 0
    for number in range(ROUNDS):
        program = start("families", file.path, SEED + number, "flood")
        program.line("running")
        time.sleep(chance.uniform(0.2, 0.8))  # the moment of a kill is a time, not an event
        program.kill()
        running += len(file.tasks("status = 'running' AND task_type != 'child'"))
        assert_whole(file)
    assert running > ROUNDS, "the kills did not land while parents were RUNNING"
    drain = start("families", file.path, SEED, "drain")
    drain.line("ended", within=60)
    assert drain.wait() == 0
    assert assert_whole(file) > 10 * ROUNDS
    ended = Counter(row["status"] for row in file.tasks("task_type != 'child'").values())
    print(f"{dict(ended)}; {running} parents RUNNING at a kill")
    assert min(ended[status] for status in ("completed", "failed", "cancelled")) > 0
    file.assert_exact(**Counter(row["status"] for row in file.tasks().values()))

"""Wheels of two releases on one PostgreSQL: the older one works on while its tables become those of the newer one."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.cli.world import SERVICE
from tests.whole.herd import BACK_WITHIN, Herd, end_in_order, times_to_be_back
from tests.whole.process import Program, poll
from tests.whole.releases import Release, next_release, this_release

PATIENT = 5
CROWD = 150
"""Slow tasks, more than twice as many as a node has slots for."""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return this_release(tmp_path_factory.mktemp("older"))


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return next_release(tmp_path_factory.mktemp("newer"))


def node_of(release: Release, herd: Herd, submitters: int = 0) -> Program:
    """A node that runs the code of *release*, and no other."""
    node = herd.node(submitters=submitters, packages=release.packages)
    node.tell("code")
    assert node.line("code") == [release.version, str(release.packages / "actors" / "__init__.py")]
    return node


def migrated(release: Release, herd: Herd) -> str:
    return release.actors("migrate", folder=herd.folder, database=herd.server.url).fine.out


def upgraded(herd: Herd, older: Release, newer: Release) -> None:
    said = migrated(newer, herd)
    assert said.endswith(f": brought from version {older.tables} to {newer.tables}\n")


def submit(program: Program, order: str) -> None:
    program.tell(order)
    program.line("submitted")


def ran_for(herd: Herd, submitter: Program, runner: Program) -> int:
    """How many of the tasks that *submitter* stored have run on *runner*."""
    executed = herd.executed()
    mine = [task_id for task_id, process in herd.submits() if process == submitter.pid]
    return sum(ran.process == runner.pid for task_id in mine for ran in executed.get(task_id, ()))


def versions(herd: Herd) -> set[str]:
    """Which releases the nodes are of, by what they say of themselves."""
    rows = herd.server.rows("SELECT snapshot FROM actors_node")
    return {json.loads(row["snapshot"] or "{}").get("version") for row in rows}


def began_on(herd: Herd, program: Program, *, attempt: int) -> int:
    """For how many tasks *program* has begun an attempt of this number."""
    runs = [ran for runs in herd.executed().values() for ran in runs]
    return sum(ran.attempt == attempt and ran.process == program.pid for ran in runs)


def outcomes(herd: Herd) -> list[str]:
    """Of the attempts that did not simply succeed."""
    return sorted(attempt["outcome"] for rows in herd.server.attempts().values() for attempt in rows)


def test_a_release_works_on_beside_the_next_one_on_its_tables(herd: Herd, older: Release, newer: Release) -> None:
    elder = node_of(older, herd, submitters=3)
    submit(elder, f"patient {PATIENT}")
    herd.goes_on()
    upgraded(herd, older, newer)
    herd.goes_on()
    herd.cut_off()  # a new session finds newer tables than the node has started on
    herd.goes_on()
    younger = node_of(newer, herd, submitters=3)
    for node in (elder, younger):
        submit(node, f"slow {CROWD} 0.2")
    poll(lambda: ran_for(herd, elder, younger) > 0 and ran_for(herd, younger, elder) > 0, every=0.05)
    herd.goes_on()
    poll(lambda: versions(herd) == {older.version, newer.version})
    assert began_on(herd, younger, attempt=2) == 0, "it was taken away from a node that lives"
    end_in_order(elder)
    poll(lambda: began_on(herd, younger, attempt=2) >= PATIENT)
    herd.goes_on()
    end_in_order(younger)
    herd.work_off(packages=newer.packages)
    tasks = herd.assert_all_done_once()
    print(
        f"\n{len(tasks)} tasks; of the older release's {ran_for(herd, elder, younger)} ran on the newer,"
        f" of the newer's {ran_for(herd, younger, elder)} on the older"
    )
    assert {row["crash_count"] for row in tasks.values()} == {0}
    assert set(outcomes(herd)) == {"returned"}


def inherited(herd: Herd, victim: Program, heir: Program) -> tuple[float, dict[str, int]]:
    """Kill *victim* while it runs tasks, which *heir* takes over; when it was dead, and what it ran."""
    submit(victim, f"patient {PATIENT}")
    poll(lambda: began_on(herd, victim, attempt=1) == PATIENT)  # they are RUNNING before
    dead_at = victim.kill()
    left = herd.running_on(victim)
    poll(lambda: began_on(herd, heir, attempt=2) == PATIENT)
    return dead_at, left


def test_what_a_killed_node_ran_is_taken_over_by_one_of_the_other_release(
    herd: Herd, older: Release, newer: Release
) -> None:
    elder = node_of(older, herd)
    upgraded(herd, older, newer)
    kills = [inherited(herd, node_of(newer, herd), elder)]
    younger = node_of(newer, herd)
    kills.append(inherited(herd, elder, younger))
    end_in_order(younger)
    tasks = herd.assert_all_done_once()
    assert len(tasks) == 2 * PATIENT
    times = times_to_be_back(herd, kills)
    assert len(times) == 2 * PATIENT
    assert max(times) < BACK_WITHIN
    assert outcomes(herd) == ["crashed"] * 2 * PATIENT


def test_a_release_starts_on_its_own_tables_alone_and_says_what_to_do_about_others(
    herd: Herd, older: Release, newer: Release
) -> None:
    (herd.folder / "service.py").write_text(SERVICE)
    old, new = (partial(release.actors, folder=herd.folder, database=herd.server.url) for release in (older, newer))
    assert migrated(older, herd).endswith(f": made the tables, version {older.tables}\n")
    found = f"the tables in this database are of version {older.tables}"
    for command in (["work", "service:app"], ["list"]):
        new(*command).refused(found, f"needs version {newer.tables}; run: actors migrate")
    upgraded(herd, older, newer)
    found = f"the tables in this database are of version {newer.tables}"
    for command in (["work", "service:app"], ["list"], ["migrate"]):
        old(*command).refused(found, f"this code knows version {older.tables}", "install a newer trio-actors")
    assert new("list", "--json").json == []

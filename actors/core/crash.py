"""Who pays for a crash of the process.

When a process dies with one task RUNNING, and its handler had started, that task is charged. When it dies with
several, any of them may be to blame, also one whose handler had just ended and whose outcome was not stored yet:
each that had started is *seen* at the crash, none is charged. A task that was seen at two crashes runs
alone on its node from then on, so that the third, if it comes, has one possible author. An innocent task
passes that test and completes; only a task that brings its process down while alone is failed.
"""

from __future__ import annotations

from typing import Final

import attrs

ALONE_AFTER: Final = 2


@attrs.frozen
class Verdict:
    """What a crash does to one task that was RUNNING: new counts, whether it runs alone from now on, or its end."""

    crash_count: int
    crashes_seen: int
    alone: bool
    failed: bool


def after_crash(crash_count: int, crashes_seen: int, *, started: bool, company: int) -> Verdict:
    """Judge one task after its node died.

    Args:
        crash_count: crashes charged before.
        crashes_seen: crashes before, during which its handler ran.
        started: whether its handler had started; if not, the crash is not its business.
        company: how many other tasks were RUNNING on the node.
    """
    if not started:
        return Verdict(crash_count, crashes_seen, alone=crashes_seen >= ALONE_AFTER, failed=False)
    charged = crash_count + (company == 0)
    failed = company == 0 and crashes_seen >= ALONE_AFTER
    return Verdict(charged, crashes_seen + 1, alone=crashes_seen + 1 >= ALONE_AFTER, failed=failed)

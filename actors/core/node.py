"""A node as other processes see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
import orjson

from .task import moment


@attrs.frozen(kw_only=True)
class NodeInfo:
    """A process that runs, or ran, a working task system on the database. Times are aware UTC.

    Attributes:
        name: host, process id and a few random digits.
        heartbeat_at: when it last said that it lives; every two seconds, four times as often on a
            server, from a thread of its own.
        lease_until: until when its running tasks are its own though nothing is heard of it.
        alive: whether that time had not come when this was read. (One that stops in order takes its row with it.)
        working: whether it claims tasks.
        described_at: when the snapshot was made: in the event loop, so that an old one tells of a loop that is blocked.
        snapshot: what the node said of itself, up to two beats ago, as JSON values: `version running_tasks
            running_by_type lanes mailboxes` (the supervision tree) `rates latencies events_lost system_resources`, as
            `app.metrics()` has them there. Empty before the first beat, and with keys of its own for another version.
    """

    name: str
    started_at: datetime
    heartbeat_at: datetime
    lease_until: datetime
    alive: bool
    working: bool
    described_at: datetime | None = None
    snapshot: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        started: float,
        heartbeat: float,
        lease_until: float,
        text: str | None,
        *,
        working: bool,
        now: float,
    ) -> NodeInfo:
        """The node of a row, whose times are in epoch seconds, as it stands at *now*."""
        snapshot = _snapshot(text)
        at = snapshot.pop("at", None)
        return cls(
            name=name,
            started_at=moment(started),
            heartbeat_at=moment(heartbeat),
            lease_until=moment(lease_until),
            alive=lease_until > now,
            working=working,
            described_at=moment(at) if isinstance(at, float | int) else None,
            snapshot=snapshot,
        )


def _snapshot(text: str | None) -> dict[str, Any]:
    """The JSON object that *text* holds; an empty one if a node of another version has written something else."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

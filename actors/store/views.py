"""Reads for people: tasks as values, counts, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import orjson
from sqlalchemy import Connection, Row, Select, func, select

from ..core.identity import stored_id
from ..core.retention import note_from
from ..core.stored import error_from, progress_from
from ..core.story import Sight
from ..core.task import Attempt, ExecutionMode, Task, TaskStatus, moment
from . import rollups
from .prepared import chunks
from .schema import attempt, ended, task

MOST_ERRORS: Final = 10


@attrs.frozen(kw_only=True)
class Filter:
    """Which tasks are meant; None means any. Times are epoch seconds, the lower one included."""

    task_type: str | None = None
    status: TaskStatus | None = None
    lane: str | None = None
    key: str | None = None
    created_after: float | None = None
    created_before: float | None = None


@attrs.frozen
class Ended:
    """The end of a task that somebody waits for; texts are JSON."""

    task_id: str
    task_type: str
    status: str
    attempt: int
    result: str | None
    error: str | None


@attrs.frozen(kw_only=True)
class Statistics:
    """What the counters say. Rates are in percent, times in seconds.

    Attributes:
        total_tasks: stored now, in any state.
        success_count: completed tasks since the counters began.
        failure_count: failed and timed out tasks since then.
        throughput_per_minute: tasks completed a minute, over the last five minutes.
        top_errors: the commonest error types of attempts, with their counts.
    """

    total_tasks: int
    by_status: Mapping[str, int]
    by_type: Mapping[str, int]
    success_count: int
    failure_count: int
    success_rate: float
    avg_execution_time: float
    throughput_per_minute: float
    uptime_seconds: float
    top_errors: Mapping[str, int]


def get(connection: Connection, task_id: str) -> Task | None:
    """The task with this id."""
    row = connection.execute(select(task).where(task.c.task_id == stored_id(task_id))).one_or_none()
    return None if row is None else task_of(row)


def count(connection: Connection, which: Filter) -> int:
    """How many tasks there are; by type and state this is read off the counters, whatever the size of the table."""
    if which == Filter(task_type=which.task_type, status=which.status):
        found = rollups.by_status(connection, which.task_type)
        return sum(found.values()) if which.status is None else found[which.status.value]
    return int(connection.execute(matching(select(func.count()).select_from(task), which)).scalar_one())


def attempts(connection: Connection, task_id: str) -> list[Attempt]:
    """The attempts that were written down, oldest first."""
    query = select(attempt).join(task, task.c.seq == attempt.c.seq).where(task.c.task_id == stored_id(task_id))
    return [
        Attempt(
            row.number,
            row.node,
            _moment(row.started_at),
            moment(row.ended_at),
            row.outcome,
            error_from(row.error_info),
        )
        for row in connection.execute(query.order_by(attempt.c.number))
    ]


def ended_among(connection: Connection, task_ids: Sequence[str]) -> list[Ended]:
    """Those of *task_ids* that have ended, under their ids as stored."""
    columns = (task.c.task_id, task.c.task_type, task.c.status, task.c.attempt, task.c.result_data, task.c.error_info)
    return [
        Ended(*row)
        for part in chunks([stored_id(task_id) for task_id in task_ids])
        for row in connection.execute(select(*columns).where(task.c.task_id.in_(part), ended))
    ]


def sights(connection: Connection, task_ids: Sequence[str]) -> list[Sight]:
    """What the rows of those of *task_ids* show that are stored."""
    last = (attempt.c.seq == task.c.seq) & (attempt.c.number == task.c.attempt)
    columns = (task.c.task_id, task.c.task_type, task.c.status, task.c.attempt, task.c.due_at, task.c.progress)
    query = select(*columns, task.c.result_data, task.c.error_info, attempt.c.outcome).outerjoin(attempt, last)
    return [
        Sight(
            task_id=row.task_id, task_type=row.task_type, status=TaskStatus(row.status), attempt=row.attempt,
            due_at=row.due_at, progress=row.progress, result=row.result_data, error=row.error_info,
            outcome=row.outcome,
        )
        for part in chunks([stored_id(task_id) for task_id in task_ids])
        for row in connection.execute(query.where(task.c.task_id.in_(part)))
    ]  # fmt: skip


def known_among(connection: Connection, task_ids: Sequence[str]) -> set[str]:
    """Those of *task_ids* that are stored, as stored: in lower case."""
    return {
        task_id
        for part in chunks([stored_id(task_id) for task_id in task_ids])
        for (task_id,) in connection.execute(select(task.c.task_id).where(task.c.task_id.in_(part)))
    }


def statistics(connection: Connection, now: float, uptime_seconds: float) -> Statistics:
    """The state of things, from the counters alone."""
    by_status = rollups.by_status(connection)
    flows = rollups.flows(connection)
    window = 5 * rollups.MINUTE
    recent = rollups.flows(connection, now - window).get("completed", 0)
    successes = flows.get("completed", 0)
    failures = flows.get("failed", 0) + flows.get("timed_out", 0)
    errors = {name.removeprefix("error:"): n for name, n in flows.items() if name.startswith("error:")}
    return Statistics(
        total_tasks=sum(by_status.values()),
        by_status=by_status,
        by_type=rollups.by_type(connection),
        success_count=successes,
        failure_count=failures,
        success_rate=100.0 * successes / (successes + failures) if successes + failures else 0.0,
        avg_execution_time=flows.get("micros", 0) / 1e6 / successes if successes else 0.0,
        throughput_per_minute=recent / 5,
        uptime_seconds=uptime_seconds,
        top_errors=dict(sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:MOST_ERRORS]),
    )


def matching(query: Select[Any], which: Filter) -> Select[Any]:
    """*query*, of the tasks that *which* means alone."""
    for name in ("task_type", "lane", "key"):
        if (value := getattr(which, name)) is not None:
            query = query.where(task.c[name] == value)
    if which.status is not None:
        query = query.where(task.c.status == which.status.value)
    if which.created_after is not None:
        query = query.where(task.c.created_at >= which.created_after)
    if which.created_before is not None:
        query = query.where(task.c.created_at < which.created_before)
    return query


def task_of(row: Row[Any]) -> Task:
    """The task that a row of the table holds."""
    values = row._mapping
    return Task(
        task_id=values["task_id"],
        task_type=values["task_type"],
        status=TaskStatus(values["status"]),
        priority=values["priority"],
        lane=values["lane"],
        mode=ExecutionMode(values["mode"]),
        input_data=orjson.loads(values["input_data"]),
        result_data=note_from(values["result_data"]) or _json(values["result_data"]),
        error_info=error_from(values["error_info"]),
        metadata=_json(values["metadata"]) or {},
        key=values["key"],
        created_at=moment(values["created_at"]),
        due_at=moment(values["due_at"]),
        started_at=_moment(values["started_at"]),
        completed_at=_moment(values["completed_at"]),
        expires_at=_moment(values["expires_at"]),
        retry_count=values["retry_count"],
        crash_count=values["crash_count"],
        max_retries=values["max_retries"],
        attempt=values["attempt"],
        timeout_seconds=values["timeout_seconds"],
        soft_timeout_seconds=values["soft_timeout_seconds"],
        progress=progress_from(values["progress"]),
        node=values["node"],
    )


def _moment(seconds: float | None) -> Any:
    return None if seconds is None else moment(seconds)


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)

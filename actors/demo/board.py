"""How far a run is: one row for each document, changed by the driver and by the events of its tasks."""

from __future__ import annotations

import attrs

from actors import TaskEvent, TaskEventType
from actors.errors import TaskTimedOut


@attrs.define
class Row:
    """What is known of one document. Exactly one of `report` and `error` is set when it is `over`.

    Attributes:
        stage: what is being done, in a word or two.
        done, slices: operations whose cases were run, out of how many.
        retries, timeouts: attempts after which the task was tried again, because it failed or took too long.
        reused: steps that an earlier process had finished.
    """

    name: str
    stage: str = "waiting"
    operations: int = 0
    faults: int = 0
    cases: int = 0
    passed: int = 0
    failed: int = 0
    done: int = 0
    slices: int = 0
    retries: int = 0
    timeouts: int = 0
    reused: int = 0
    report: str = ""
    error: str = ""
    over: bool = False


@attrs.define
class Board:
    """The rows of a run, and whose task is whose."""

    rows: list[Row] = attrs.field(factory=list)
    owners: dict[str, Row] = attrs.field(factory=dict)

    def own(self, row: Row, task_id: str) -> None:
        """From now on, events of *task_id* are told of *row*."""
        self.owners[task_id] = row

    def note(self, event: TaskEvent) -> Row | None:
        """Take in one event of the task system; the row that it changed, if any."""
        row = self.owners.get(event.task_id)
        if row is None or event.type is not TaskEventType.RETRY_SCHEDULED:
            return None
        error = event.data.get("error_info")
        timed_out = error is not None and error.type == TaskTimedOut.__name__
        row.timeouts += timed_out
        row.retries += not timed_out
        return row

    @property
    def failed(self) -> bool:
        """Whether a document could not be used, or not be worked through."""
        return any(row.error for row in self.rows)

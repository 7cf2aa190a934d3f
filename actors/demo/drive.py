"""Drives one document through the four steps, and a whole run of documents side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import trio

from actors import TaskRequest, TaskStatus, TaskSystem, Ticket
from actors.demo.board import Board, Row
from actors.demo.errors import DocumentError
from actors.demo.plan import Plan, Source
from actors.demo.steps import ANALYSIS, EXECUTION, GENERATION, REPORT, Counts
from actors.errors import TaskFailed, TaskTimedOut


class Unfinished(Exception):
    """A step ended without a result; the text is one line for the user."""


@attrs.frozen
class Driver:
    """Submits steps as those before them finish.

    Every id is fixed by the plan and the document's content, so a later process that drives the same run finds the
    same tasks, and those that are finished stay so. `began`: when this process did.
    """

    app: TaskSystem
    board: Board
    plan: Plan
    began: datetime
    changed: Callable[[Row], None]

    async def drive(self, source: Source, row: Row) -> None:
        """Work through one document; whatever stops it is told in its *row*, and stops no other."""
        try:
            content = await trio.to_thread.run_sync(source.content)
            await _Document(self, source, row, content).work()
        except (DocumentError, Unfinished) as error:
            row.error = str(error)
        row.over = True
        self.changed(row)


class _Document:
    def __init__(self, driver: Driver, source: Source, row: Row, content: bytes) -> None:
        self._driver = driver
        self._source = source
        self._row = row
        self._content = content
        self._folder = str(source.folder)

    async def work(self) -> None:
        row = self._row
        found = await self._step(ANALYSIS, "analysing", document=str(self._source.path), folder=self._folder)
        row.operations, row.faults = found["operations"], found["faults"]
        made = await self._step(GENERATION, "making cases", folder=self._folder, seed=self._driver.plan.seed)
        row.cases = made["cases"]
        not_run = await self._execute(row.operations)
        target = self._driver.plan.target or "a mock made of the document"
        about = {"folder": self._folder, "document": str(self._source.path), "target": target}
        await self._step(REPORT, "reporting", **about, not_run=not_run)
        row.report = str(Path(self._folder) / "report.html")
        if not_run:
            raise Unfinished(f"{len(not_run)} operations could not be run: {next(iter(not_run.values()))}")
        row.stage = "done"

    async def _step(self, task_type: str, stage: str, **payload: Any) -> Counts:
        self._row.stage = stage
        self._driver.changed(self._row)
        (ticket,) = await self._submit([self._request(task_type, payload)])
        return await self._result(task_type, ticket)

    async def _execute(self, operations: int) -> dict[str, str]:
        """Run the cases of all operations at once; the reasons why some, by index, could not be run."""
        self._row.stage, self._row.slices = "running cases", operations
        self._driver.changed(self._row)
        payloads = [{"folder": self._folder, "operation": index} for index in range(operations)]
        tickets = await self._submit([self._request(EXECUTION, each, index) for index, each in enumerate(payloads)])
        not_run: dict[str, str] = {}
        async with trio.open_nursery() as nursery:
            for index, ticket in enumerate(tickets):
                nursery.start_soon(self._await_slice, index, ticket, not_run)
        return not_run

    async def _await_slice(self, index: int, ticket: Ticket[Any], not_run: dict[str, str]) -> None:
        try:
            counts = await self._result(EXECUTION, ticket)
        except Unfinished as error:
            not_run[str(index)] = str(error)
        else:
            self._row.passed += counts["passed"]
            self._row.failed += counts["failed"]
        self._row.done += 1
        self._driver.changed(self._row)

    def _request(self, task_type: str, payload: Mapping[str, Any], index: int = 0) -> TaskRequest:
        task_id = self._source.task_id(self._driver.plan, self._content, task_type, index)
        self._driver.board.own(self._row, task_id)
        return TaskRequest(task_type, payload, task_id=task_id)

    async def _submit(self, requests: list[TaskRequest]) -> list[Ticket[Any]]:
        tickets = await self._driver.app.submit_many(requests)
        for ticket in tickets:
            if not ticket.created:
                self._row.reused += await self._was_finished(ticket)
        return tickets

    async def _was_finished(self, ticket: Ticket[Any]) -> bool:
        """Whether an earlier process finished the step; this one may have, since it took it up again at its start."""
        task = await self._driver.app.get(ticket.task_id)
        if task is None or task.status is not TaskStatus.COMPLETED or task.completed_at is None:
            return False
        return task.completed_at < self._driver.began

    async def _result(self, task_type: str, ticket: Ticket[Any]) -> Counts:
        try:
            counts: Counts = await ticket.result()
        except (TaskFailed, TaskTimedOut) as error:
            raise Unfinished(_reason(task_type, error)) from error
        return counts


def _reason(task_type: str, error: TaskFailed | TaskTimedOut) -> str:
    info = error.error_info
    if info is None:
        return f"{task_type}: {error}"
    return info.message if info.type == DocumentError.__name__ else f"{task_type}: {info.type}: {info.message}"

"""The report of one document: one value, written as JSON for programs and as one HTML page for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import jinja2

from actors.demo.artifacts import save, write
from actors.demo.model import CaseSet, Contract, Fault, Result, ResultSet


@attrs.frozen
class OperationReport:
    """One operation and what came of its cases; `attempts`: how often its task ran until the server answered all."""

    title: str
    operation_id: str | None
    passed: int
    failed: int
    seconds: float
    attempts: int
    omitted: list[str]
    results: list[Result]


@attrs.frozen
class Report:
    """Everything that is told of one document. `seconds` are those that requests took, all added up."""

    document: str
    title: str
    version: str
    openapi: str
    target: str
    counts: dict[str, int]
    faults: list[Fault]
    cases: int
    passed: int
    failed: int
    seconds: float
    operations: list[OperationReport]

    @property
    def share_passed(self) -> float:
        """Passed cases, in percent."""
        return 100 * self.passed / self.cases if self.cases else 100.0


def build(
    document: str,
    target: str,
    contract: Contract,
    case_sets: list[CaseSet],
    result_sets: list[ResultSet],
    not_run: Mapping[str, str],
) -> Report:
    """The report on *contract*.

    There is one case set and one result set for each operation, in the same order. *not_run* gives the reason for
    each operation, by its index as text, that could not be run.
    """
    operations = [
        _operation(contract, cases, results, not_run.get(str(cases.operation)))
        for cases, results in zip(case_sets, result_sets, strict=True)
    ]
    return Report(
        document=document,
        title=contract.title,
        version=contract.version,
        openapi=contract.openapi,
        target=target,
        counts=contract.counts,
        faults=contract.faults,
        cases=sum(len(operation.results) for operation in operations),
        passed=sum(operation.passed for operation in operations),
        failed=sum(operation.failed for operation in operations),
        seconds=sum(operation.seconds for operation in operations),
        operations=operations,
    )


def _operation(contract: Contract, cases: CaseSet, results: ResultSet, not_run: str | None) -> OperationReport:
    operation = contract.operations[cases.operation]
    passed = sum(result.passed for result in results.results)
    return OperationReport(
        title=operation.title,
        operation_id=operation.operation_id,
        passed=passed,
        failed=len(results.results) - passed,
        seconds=sum(result.seconds for result in results.results),
        attempts=results.attempt,
        omitted=cases.omitted if not_run is None else [f"not run: {not_run}", *cases.omitted],
        results=results.results,
    )


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.json` and `report.html` into *folder*; the path of the latter."""
    save(folder / "report.json", report)
    page = folder / "report.html"
    write(page, render(report))
    return page


def render(report: Report) -> str:
    """The page, whole in itself: it loads nothing and runs no script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(report=report)

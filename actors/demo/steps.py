"""The four task types of the demo, around the plain functions.

Steps hand each other files, all in one folder for a document, and return small counts: payloads and results stay
small, however large the document. Each step writes the same files when it runs again, so an attempt that a crash cut
off does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import trio

from actors import ExecutionMode, RetryPolicy, TaskContext, TaskSystem
from actors.demo.analysis import analyse_document
from actors.demo.artifacts import read, save
from actors.demo.errors import DocumentError
from actors.demo.execute import Target, execute, open_client
from actors.demo.generate import generate
from actors.demo.model import CaseSet, Contract, ResultSet
from actors.demo.report import build, write_report

ANALYSIS = "document_analysis"
GENERATION = "test_generation"
EXECUTION = "test_execution"
REPORT = "report_generation"
CLIENT = "http"

Counts = dict[str, int]

_SLICES_AT_ONCE = 8
PATIENCE = RetryPolicy(max_retries=6, base_delay=0.25, max_delay=5.0, retry_on=(Exception,))
_NO_USE = RetryPolicy(max_retries=2, base_delay=0.25, never_on=(DocumentError,))  # a bad document stays bad


def generate_cases(ctx: TaskContext, folder: str, seed: int) -> Counts:
    """Leave `cases/<operation>.json` for each operation of the contract in *folder*."""
    contract = read_contract(folder)
    made = omitted = 0
    for index, operation in enumerate(contract.operations):
        ctx.check()
        ctx.progress(index / len(contract.operations), operation.title)
        found = generate(contract, index, seed)
        save(cases_file(folder, index), found)
        made, omitted = made + len(found.cases), omitted + len(found.omitted)
    return {"cases": made, "omitted": omitted}


async def execute_cases(url_of: Callable[[str], str], ctx: TaskContext, folder: str, operation: int) -> Counts:
    """Make the requests of one operation with the client that all share; leave `results/<operation>.json`.

    Raises:
        Unavailable: the server was busy; the task system tries again.
    """
    contract = await trio.to_thread.run_sync(read_contract, folder)
    cases = await trio.to_thread.run_sync(read, cases_file(folder, operation), CaseSet)
    target = Target(url_of(Path(folder).name), ctx.resources[CLIENT])
    results = await execute(contract, operation, cases.cases, target)
    found = ResultSet(operation, ctx.attempt, results)
    await trio.to_thread.run_sync(save, results_file(folder, operation), found)
    passed = sum(result.passed for result in results)
    return {"passed": passed, "failed": len(results) - passed}


def generate_report(ctx: TaskContext, folder: str, document: str, target: str, not_run: dict[str, str]) -> Counts:
    """Leave `report.html` and `report.json`; *not_run* tells why an operation (its index) has no results."""
    contract = read_contract(folder)
    count = len(contract.operations)
    case_sets = [read(cases_file(folder, index), CaseSet) for index in range(count)]
    result_sets = [
        ResultSet(index, 0, []) if str(index) in not_run else read(results_file(folder, index), ResultSet)
        for index in range(count)
    ]
    ctx.progress(0.5, "writing")
    report = build(document, target, contract, case_sets, result_sets, not_run)
    write_report(report, Path(folder))
    return {"cases": report.cases, "passed": report.passed, "failed": report.failed}


def declare(app: TaskSystem, url_of: Callable[[str], str], *, timeout: float) -> None:
    """Declare the four task types on *app*, and the HTTP client that they share.

    Args:
        url_of: gives the server to test for the name of a document's folder.
        timeout: seconds for all requests of one operation; a server that stalls longer is asked again.
    """
    thread, process = ExecutionMode.THREAD, ExecutionMode.PROCESS
    app.resource(CLIENT, open_client)
    app.register_handler(ANALYSIS, analyse_document, mode=process, timeout=60, retry=_NO_USE)
    app.register_handler(GENERATION, generate_cases, mode=thread, timeout=120, retry=_NO_USE)

    async def run(ctx: TaskContext, folder: str, operation: int) -> Counts:
        return await execute_cases(url_of, ctx, folder, operation)

    app.register_handler(EXECUTION, run, timeout=timeout, retry=PATIENCE, max_concurrency=_SLICES_AT_ONCE)
    app.register_handler(REPORT, generate_report, mode=thread, timeout=60)


def read_contract(folder: str) -> Contract:
    """The contract that the analysis left in *folder*."""
    path = Path(folder) / "analysis.json"
    return _contract_at(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _contract_at(path: Path, written: int) -> Contract:
    return read(path, Contract)


def cases_file(folder: str, operation: int) -> Path:
    return Path(folder) / "cases" / f"{operation:04}.json"


def results_file(folder: str, operation: int) -> Path:
    return Path(folder) / "results" / f"{operation:04}.json"

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import trio
from rich.console import Console

from actors import RetryPolicy
from actors.demo.analyse import analyse
from actors.demo.document import load
from actors.demo.mock import MockServer, Weather
from actors.demo.plan import EXAMPLE
from actors.demo.run import FAILED, FINE, Options, demo
from actors.demo.serve import serve

FAIR = Weather(busy=0, stalled=0, slowest=0)


def report_in(work: Path, run: str = "run-001", name: str = "example") -> dict[str, object]:
    data: dict[str, object] = json.loads((work / run / name / "report.json").read_text("utf-8"))
    return data


@pytest.mark.parametrize(("strict", "code"), [(False, FINE), (True, FAILED)])
async def test_a_target_gets_the_requests_and_a_failed_case_counts_if_strict(
    tmp_path: Path, strict: bool, code: int
) -> None:
    output = io.StringIO()
    mock = MockServer({"v1": analyse(load(EXAMPLE))}.__getitem__, 1, FAIR)
    async with trio.open_nursery() as nursery:
        target = f"{await nursery.start(serve, mock.app)}/v1"
        options = Options([], target, tmp_path, resume=False, seed=None, strict=strict)
        assert await demo(options, Console(file=output, width=200)) == code
        nursery.cancel_scope.cancel()
    report = report_in(tmp_path)
    assert (report["target"], report["cases"], report["failed"]) == (target, 76, 4)
    assert f"report: {tmp_path}/run-001/example/report.html" in output.getvalue()


async def test_a_finished_run_is_resumed_without_running_a_step_again(tmp_path: Path) -> None:
    mock = MockServer({"v1": analyse(load(EXAMPLE))}.__getitem__, 1, FAIR)
    async with trio.open_nursery() as nursery:
        target = f"{await nursery.start(serve, mock.app)}/v1"
        options = Options([], target, tmp_path, resume=True, seed=None, strict=False)
        outputs = [io.StringIO(), io.StringIO()]
        for output in outputs:
            assert await demo(options, Console(file=output, width=200)) == FINE
        nursery.cancel_scope.cancel()
    assert "11 steps were finished before and did not run again" in outputs[1].getvalue()
    assert outputs[1].getvalue().startswith(f"going on in {tmp_path}/run-001\n")


async def test_documents_that_can_not_be_used_get_one_line_each_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("openapi: [\nx")
    (tmp_path / "evil.json").write_text('{"swagger": "\\u001b[2J[red]2.0"}')
    (tmp_path / "small.yaml").write_text(
        "{openapi: 3.1.0, paths: {/a: {get: {responses: {200: {description: fine}}}}}}"
    )
    names = ["broken.yaml", "evil.json", "small.yaml", "missing.yaml"]
    output = io.StringIO()
    options = Options(
        [tmp_path / name for name in names], None, tmp_path / "work", resume=False, seed=None, strict=False
    )
    assert await demo(options, Console(file=output, width=40)) == FAILED
    lines = output.getvalue().splitlines()
    assert [line for line in lines if line.startswith("broken.yaml: is")] == [
        "broken.yaml: is broken YAML: did not find expected ',' or ']' (line 3, column 1)"
    ]
    assert "missing.yaml: does not exist" in lines
    assert r"evil.json: is Swagger \x1b[2J[red]2.0; this reads OpenAPI 3.0 and 3.1" in lines
    assert report_in(tmp_path / "work", name="small")["passed"] == 1


async def test_a_server_that_is_away_fails_the_document_and_the_report_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.demo.steps.PATIENCE", RetryPolicy.none())
    output = io.StringIO()
    options = Options([], "http://127.0.0.1:9", tmp_path, resume=False, seed=None, strict=False)
    assert await demo(options, Console(file=output, width=200)) == FAILED
    assert "example.yaml: 8 operations could not be run: test_execution: Unavailable" in output.getvalue()
    operations = report_in(tmp_path)["operations"]
    assert isinstance(operations, list)
    assert all("not run: test_execution: Unavailable" in operation["omitted"][0] for operation in operations)

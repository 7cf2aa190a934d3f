from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from actors.demo.analyse import analyse
from actors.demo.document import load
from actors.demo.errors import Unavailable
from actors.demo.execute import Target, execute, open_client
from actors.demo.generate import generate
from actors.demo.judge import Reply, judge
from actors.demo.mock import MockServer, Weather
from actors.demo.model import Case, Contract, Result
from actors.demo.serve import serve

Write = Callable[..., Path]
FAIR = Weather(busy=0, stalled=0, slowest=0)
EXAMPLE = Path(__file__).parents[2] / "actors" / "demo" / "example.yaml"


CASE = Case("it", valid=True, method="GET", path="/things", query=[], headers=[])


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[Target]:
    async with open_client() as client, trio.open_nursery() as nursery:
        yield Target(await nursery.start(serve, app), client)
        nursery.cancel_scope.cancel()


async def run_all(contract: Contract, weather: Weather, attempts: int = 1) -> list[Result]:
    mock = MockServer({"it": contract}.__getitem__, 1, weather)
    results: list[Result] = []
    async with serving(mock.app) as target:
        target = Target(f"{target.base_url}/it", target.client)
        for index in range(len(contract.operations)):
            cases = generate(contract, index, 1).cases
            for attempt in range(1, attempts + 1):
                try:
                    results += await execute(contract, index, cases, target)
                except Unavailable:
                    assert attempt < attempts, "the server stayed away"
                else:
                    break
    return results


@pytest.mark.parametrize("name", ["petstore.yaml", "tictactoe.yaml"])
async def test_all_cases_of_a_real_document_pass_against_its_mock(real_documents: Path, name: str) -> None:
    contract = analyse(load(real_documents / name))
    results = await run_all(contract, FAIR)
    assert [result for result in results if not result.passed] == []
    assert {result.valid for result in results} == {True, False}


async def test_what_fails_in_a_large_document_is_only_what_it_does_not_document(real_documents: Path) -> None:
    contract = analyse(load(real_documents / "box-v2025.json"))
    failed = [result for result in await run_all(contract, FAIR) if not result.passed]
    assert {result.message for result in failed} == {"the status 400 is not documented"}
    silent = [f.message for f in contract.faults if "what a malformed request gets" in f.message]
    assert {result.request.split("?")[0].split("/")[1] for result in failed} == {"shield_lists"}
    assert len(silent) == len([m for m in silent if "shield_lists" in m])


async def test_the_faults_that_the_example_has_on_purpose_fail() -> None:
    failed = [result for result in await run_all(analyse(load(EXAMPLE)), FAIR) if not result.passed]
    assert {result.message for result in failed} == {
        "the body does not fit its schema: stars: 6 is greater than the maximum of 5",
        "the status 400 is not documented",
    }


async def test_a_busy_server_is_asked_again_and_then_answers_all_as_a_fair_one_does() -> None:
    contract = analyse(load(EXAMPLE))
    fair = await run_all(contract, FAIR)
    stormy = await run_all(contract, Weather(busy=0.5, stalled=0, slowest=0), attempts=2)
    assert [(r.case, r.status) for r in stormy] == [(r.case, r.status) for r in fair]


async def test_a_busy_server_makes_the_step_raise(document_at: Write) -> None:
    contract = analyse(load(document_at()))
    mock = MockServer({"it": contract}.__getitem__, 1, Weather(busy=1, stalled=0, slowest=0))
    async with serving(mock.app) as target:
        with pytest.raises(Unavailable, match="1 of 1 requests: GET /things got 503"):
            await execute(contract, 0, [CASE], Target(f"{target.base_url}/it", target.client))


async def test_a_server_that_stalls_is_left_when_the_time_is_over(document_at: Write) -> None:
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(0.3):
            await run_all(analyse(load(document_at())), Weather(busy=0, stalled=1, stall=60, slowest=0))


async def test_a_redirect_is_not_followed_to_another_host(document_at: Write) -> None:
    visited: list[str] = []

    async def lure(request: Request) -> Response:
        return RedirectResponse("/elsewhere", 302)

    async def elsewhere(request: Request) -> Response:
        visited.append(request.url.path)
        return JSONResponse({})

    app = Starlette(routes=[Route("/things", lure), Route("/elsewhere", elsewhere)])
    async with serving(app) as target:
        (result,) = await execute(analyse(load(document_at())), 0, [CASE], target)
    assert visited == []
    assert (result.passed, result.status) == (False, 302)


async def test_the_environment_does_not_send_requests_elsewhere(
    document_at: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    (result,) = await run_all(analyse(load(document_at())), FAIR)
    assert result.passed


async def test_nobody_at_the_address_is_told_and_can_be_tried_again(document_at: Write) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(Unavailable, match="GET /things: ConnectError"):
            await execute(analyse(load(document_at())), 0, [CASE], Target("http://127.0.0.1:9", client))


def operation_with(write: Write, responses: dict[str, Any]) -> Contract:
    return analyse(load(write({"/things": {"get": {"responses": responses}}})))


JSON_NUMBER = {"200": {"content": {"application/json": {"schema": {"type": "integer"}}}}}


@pytest.mark.parametrize(
    ("responses", "valid", "reply", "problem"),
    [
        (JSON_NUMBER, True, Reply(200, "application/json", b"3"), ""),
        (JSON_NUMBER, True, Reply(200, "application/json; charset=utf-8", b"3"), ""),
        (JSON_NUMBER, True, Reply(200, "application/json", b'"3"'), "does not fit its schema: '3' is not of type"),
        (JSON_NUMBER, True, Reply(200, "application/json", b"{"), "is not JSON"),
        (JSON_NUMBER, True, Reply(200, "text/html", b"3"), "the media type text/html is not documented for 200"),
        (JSON_NUMBER, True, Reply(404, "", b""), "the status 404 is not documented"),
        (JSON_NUMBER, False, Reply(200, "application/json", b"3"), "breaks the document is taken"),
        ({"200": {}, "4XX": {}}, True, Reply(404, "", b""), ""),
        ({"200": {}, "400": {}}, True, Reply(400, "", b""), "a valid request is refused with 400"),
        ({"200": {}, "400": {}}, False, Reply(400, "", b""), ""),
        ({"200": {}, "default": {}}, False, Reply(422, "", b""), ""),
        ({"200": {}, "default": {}}, True, Reply(500, "", b""), "the server failed with 500"),
        ({"204": {"content": {"application/json": {}}}}, True, Reply(204, "", b""), ""),
    ],
)
def test_the_verdict_on_an_answer(
    document_at: Write, responses: dict[str, Any], valid: bool, reply: Reply, problem: str
) -> None:
    contract = operation_with(document_at, responses)
    case = Case("it", valid, "GET", "/things", [], [])
    verdict = judge(contract.operations[0], case, reply, contract.definitions)
    assert (problem in verdict) if problem else (verdict == "")

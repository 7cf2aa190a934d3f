"""Runs cases over HTTP against one server, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import attrs
import httpx
import trio

from actors.demo.errors import Unavailable
from actors.demo.judge import MAX_BODY, Reply, judge
from actors.demo.model import Case, Contract, Operation, Result
from actors.demo.wire import encode_body

AT_ONCE = 4  # requests of one slice under way at a time
_BUSY = {429, 502, 503, 504}


@attrs.frozen
class Target:
    """A server to test: where it is, and the client that reaches it."""

    base_url: str
    client: httpx.AsyncClient


@asynccontextmanager
async def open_client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that goes where it is told and no further: no redirects, no proxies or logins from the environment.

    It sets no time limits: the tasks have those.
    """
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None) as client:
        yield client


async def execute(contract: Contract, index: int, cases: Sequence[Case], target: Target) -> list[Result]:
    """Make each of *cases*, all of the operation at *index*, and judge the answers; results in their order.

    Raises:
        Unavailable: the server was busy or away for some. The others were made all the same, so that trying again
            meets a server that has these behind it.
    """
    return await _Run(target, contract, contract.operations[index], len(cases)).all(cases)


class _Run:
    def __init__(self, target: Target, contract: Contract, operation: Operation, count: int) -> None:
        self._target = target
        self._contract = contract
        self._operation = operation
        self._limit = trio.CapacityLimiter(AT_ONCE)
        self._results: list[Result | None] = [None] * count
        self._unavailable: list[str] = []

    async def all(self, cases: Sequence[Case]) -> list[Result]:
        async with trio.open_nursery() as nursery:
            for position, case in enumerate(cases):
                nursery.start_soon(self._one, position, case)
        if self._unavailable:
            raise Unavailable(f"{len(self._unavailable)} of {len(cases)} requests: {self._unavailable[0]}")
        return [result for result in self._results if result is not None]

    async def _one(self, position: int, case: Case) -> None:
        async with self._limit:
            try:
                self._results[position] = await self._result(case)
            except Unavailable as error:
                self._unavailable.append(str(error))

    async def _result(self, case: Case) -> Result:
        started = trio.current_time()
        reply = await self._send(case)
        seconds = trio.current_time() - started
        problem = judge(self._operation, case, reply, self._contract.definitions)
        path = f"{case.path}?{urlencode(case.query)}" if case.query else case.path
        return Result(case.name, case.valid, not problem, reply.status, seconds, problem, f"{case.method} {path}")

    async def _send(self, case: Case) -> Reply:
        try:
            async with self._target.client.stream(
                case.method, self._url(case), headers=_headers(case), content=_content(case)
            ) as response:
                content = await _read(response)
        except httpx.TransportError as error:
            raise Unavailable(f"{case.method} {case.path}: {type(error).__name__} {error}".strip()) from error
        if response.status_code in _BUSY:
            raise Unavailable(f"{case.method} {case.path} got {response.status_code}")
        return Reply(response.status_code, response.headers.get("content-type", ""), content)

    def _url(self, case: Case) -> httpx.URL:
        url = httpx.URL(self._target.base_url.rstrip("/") + case.path)
        return url.copy_merge_params(tuple(case.query)) if case.query else url


def _headers(case: Case) -> list[tuple[str, str]]:
    return [*case.headers, ("content-type", case.media_type)] if case.media_type is not None else case.headers


def _content(case: Case) -> bytes | None:
    return None if case.media_type is None else encode_body(case.media_type, case.body)


async def _read(response: httpx.Response) -> bytes:
    """The body, or somewhat more than the most that is judged."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_BODY:
            break
    return bytes(content)

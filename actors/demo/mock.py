"""A server made of a contract: it checks requests as the document says, and answers as the document says.

Now and then it is slow, busy or stalled, as servers are. Which requests that hits is drawn from the seed and the
request alone, and it hits each of them once: who asks again gets an answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Any
from urllib.parse import parse_qsl, unquote

import attrs
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.demo.errors import NoSample
from actors.demo.model import METHODS, Answer, Contract, Media, Operation, Parameter, is_json
from actors.demo.sample import Sampler
from actors.demo.validation import Validation
from actors.demo.wire import decode, decode_body


@attrs.frozen
class Weather:
    """How bad the mock is: shares of requests in [0, 1], and times in seconds."""

    busy: float = 0.04
    stalled: float = 0.01
    stall: float = 60.0
    slowest: float = 0.03


class MockApi:
    """Answers the requests of one contract."""

    def __init__(self, contract: Contract, seed: int, weather: Weather) -> None:
        self._contract = contract
        self._seed = seed
        self._weather = weather
        self._validation = Validation(contract.definitions)
        self._hit: set[str] = set()
        self._routes = sorted(
            ((_pattern(operation.path), operation) for operation in contract.operations),
            key=lambda route: route[1].path.count("{"),
        )

    async def respond(self, method: str, path: str, request: Request) -> Response:
        """The answer to *request*, whose raw *path* is below this contract's root."""
        content = await request.body()
        identity = "\n".join([str(self._seed), method, path, str(request.url.query), repr(content)])
        random = Random(hashlib.sha256(identity.encode()).digest())
        if await self._is_busy(identity, random):
            return Response("busy", 503, {"retry-after": "1"})
        found = [(match, op) for pattern, op in self._routes if (match := pattern.fullmatch(path))]
        for match, operation in found:
            if operation.method.upper() == method:
                problem = self._problem(operation, match.groups(), request, content)
                return self._refusal(operation, problem, random) if problem else self._success(operation, random)
        return Response("no such operation", 405 if found else 404)

    async def _is_busy(self, identity: str, random: Random) -> bool:
        """Wait as long as this request has to; say whether it is sent away."""
        weather, chance = self._weather, random.random()
        await trio.sleep(random.random() * weather.slowest)
        if identity in self._hit or chance >= weather.busy + weather.stalled:
            return False
        self._hit.add(identity)
        if chance < weather.stalled:
            await trio.sleep(weather.stall)
        return chance >= weather.stalled

    def _problem(self, operation: Operation, parts: Iterable[str], request: Request, content: bytes) -> str | None:
        names = re.findall(r"{([^{}]*)}", operation.path)
        pairs = {
            "path": [(name, unquote(part)) for name, part in zip(names, parts, strict=True)],
            "query": parse_qsl(request.url.query, keep_blank_values=True),
            "header": [(name.lower(), text) for name, text in request.headers.items()],
            "cookie": list(request.cookies.items()),
        }
        for parameter in operation.parameters:
            problem = self._parameter_problem(parameter, pairs[parameter.place])
            if problem is not None:
                return f"{parameter.place} parameter {parameter.name}: {problem}"
        return self._body_problem(operation, request.headers.get("content-type", ""), content)

    def _parameter_problem(self, parameter: Parameter, pairs: list[tuple[str, str]]) -> str | None:
        if parameter.place == "header":
            parameter = attrs.evolve(parameter, name=parameter.name.lower())
        value = decode(parameter, pairs, self._contract.definitions)
        if value is None:
            return "is missing" if parameter.required else None
        return self._validation.misfit(value, parameter.schema)

    def _body_problem(self, operation: Operation, media_type: str, content: bytes) -> str | None:
        body = operation.body
        if body is None or not content:
            return "the body is missing" if body is not None and body.required else None
        value = decode_body(media_type or body.media_type, content, body.media.schema, self._contract.definitions)
        return self._validation.misfit(value, body.media.schema)

    def _refusal(self, operation: Operation, problem: str, random: Random) -> Response:
        documented = {answer.status.upper(): answer for answer in operation.answers}
        for name, status in (("400", 400), ("422", 422), ("4XX", 400), ("DEFAULT", 400)):
            if name in documented and documented[name].media:
                return self._answer(documented[name], status, random)
            if name in documented:
                return Response(problem, status, media_type="text/plain")
        return Response(json.dumps({"error": problem}), 400, media_type="application/json")

    def _success(self, operation: Operation, random: Random) -> Response:
        for answer in sorted(operation.answers, key=lambda answer: answer.status):
            if answer.status[:1] in ("2", "3"):
                return self._answer(answer, int(answer.status[0] + answer.status[1:].upper().replace("X", "0")), random)
        default = next((answer for answer in operation.answers if answer.status == "default"), None)
        return Response(status_code=204) if default is None else self._answer(default, 200, random)

    def _answer(self, answer: Answer, status: int, random: Random) -> Response:
        if not answer.media or status == 204:
            return Response(status_code=status)
        media_type = next((name for name in answer.media if is_json(name)), next(iter(answer.media)))
        try:
            value = self._value(answer.media[media_type], random)
        except NoSample as error:
            return Response(f"the mock has no answer: {error}", 501)
        content = json.dumps(value) if is_json(media_type) else value if isinstance(value, str) else ""
        return Response(content, status, media_type=media_type)

    def _value(self, media: Media, random: Random) -> Any:
        if media.examples:
            return random.choice(media.examples)
        return Sampler(self._contract.definitions, random, hidden="writeOnly").sample(media.schema)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"{[^{}]*}", path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


class MockServer:
    """Answers for many contracts, each with its root at `/<name>`; `app` is the ASGI application.

    A contract is read when the first request for it comes. So the order does not matter in which a resumed run takes
    its unfinished steps up again.

    Args:
        contract_of: reads the contract of a name; KeyError for a name that there is not.
    """

    def __init__(self, contract_of: Callable[[str], Contract], seed: int, weather: Weather | None = None) -> None:
        self._contract_of = contract_of
        self._seed = seed
        self._weather = weather or Weather()
        self._apis: dict[str, MockApi] = {}
        methods = [method.upper() for method in METHODS]
        self.app = Starlette(routes=[Route("/{name}/{rest:path}", self._endpoint, methods=methods)])

    async def _endpoint(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        _, name, rest = raw.split("/", 2)  # raw: an encoded slash is part of a value
        try:
            api = await self._api(name)
        except KeyError:
            return Response("no such document", 404)
        return await api.respond(request.method, f"/{rest}", request)

    async def _api(self, name: str) -> MockApi:
        if name not in self._apis:
            contract = await trio.to_thread.run_sync(self._contract_of, name)
            self._apis.setdefault(name, MockApi(contract, self._seed, self._weather))
        return self._apis[name]

"""What the demo knows of a document once it is analysed: values that all later steps share, and that JSON can hold.

Schemas are JSON Schema 2020-12 here, whatever the document speaks; their references lead to `Contract.definitions`.
"""

from __future__ import annotations

from typing import Any

import attrs

Schema = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@attrs.frozen
class Fault:
    """Something wrong in a document: what kind, where (a JSON pointer), and what it is, in one line."""

    kind: str
    where: str
    message: str


@attrs.frozen
class Parameter:
    """One parameter; `place` is path, query, header or cookie. `as_json`: its value is sent as JSON text."""

    name: str
    place: str
    required: bool
    schema: Schema
    style: str
    explode: bool
    as_json: bool = False


@attrs.frozen
class Media:
    """A body of one media type: what it must fit, and examples of it."""

    schema: Schema
    examples: list[Any]


@attrs.frozen
class Body:
    """A request body, in the media type that the demo sends: JSON if there is a choice."""

    required: bool
    media_type: str
    media: Media


@attrs.frozen
class Answer:
    """A documented response; `status` is `200`, `4XX` or `default`."""

    status: str
    media: dict[str, Media]

    def covers(self, status: int) -> bool:
        """Whether this response documents *status*; `default` documents every one."""
        return self.status in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default")


@attrs.frozen
class Operation:
    """One method on one path."""

    method: str
    path: str
    operation_id: str | None
    pointer: str
    parameters: list[Parameter]
    body: Body | None
    answers: list[Answer]

    @property
    def title(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def answer(self, status: int) -> Answer | None:
        """The most exact documented response for *status*."""
        fitting = [answer for answer in self.answers if answer.covers(status)]
        return min(fitting, key=lambda answer: (answer.status == "default", not answer.status.isdigit()), default=None)


@attrs.frozen
class Contract:
    """An analysed document. `counts` are of things in it: operations, schemas, parameters, references …"""

    title: str
    version: str
    openapi: str
    operations: list[Operation]
    definitions: dict[str, Schema]
    faults: list[Fault]
    counts: dict[str, int]


@attrs.frozen
class Case:
    """One request to make. `valid`: the document allows it; if not, `name` says what is wrong with it.

    `path` is percent-encoded, `query` and `headers` are pairs of text; `body` is what the media type encodes.
    """

    name: str
    valid: bool
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    media_type: str | None = None
    body: Any = None


@attrs.frozen
class CaseSet:
    """The cases of one operation, and why some were not made."""

    operation: int
    cases: list[Case]
    omitted: list[str]


@attrs.frozen
class Result:
    """What came of one case; `seconds` is from sending the request to having read the answer."""

    case: str
    valid: bool
    passed: bool
    status: int
    seconds: float
    message: str
    request: str


@attrs.frozen
class ResultSet:
    """The results of one operation, and the attempt of its task that got them."""

    operation: int
    attempt: int
    results: list[Result]


def is_json(media_type: str) -> bool:
    """Whether bodies of *media_type* are JSON: application/json, application/problem+json; …"""
    return media_type.partition(";")[0].strip().lower().endswith(("/json", "+json"))

"""Is an answer what the document promises?"""

from __future__ import annotations

import json

import attrs

from actors.demo.model import Answer, Case, Operation, is_json
from actors.demo.shape import Definitions
from actors.demo.validation import Validation

MAX_BODY = 5_000_000  # bytes of an answer that are read


@attrs.frozen
class Reply:
    """What a server sent."""

    status: int
    media_type: str
    content: bytes


def judge(operation: Operation, case: Case, reply: Reply, definitions: Definitions) -> str:
    """What is wrong with *reply*, in one line; nothing (`""`) if the case passed.

    A valid request may be refused for reasons that the document can't tell, such as 404 for an unknown id, if that
    status is documented; but not as malformed (400, 422).
    """
    if reply.status >= 500:
        return f"the server failed with {reply.status}"
    if case.valid and reply.status in (400, 422):
        return f"a valid request is refused with {reply.status}"
    if not case.valid and reply.status < 400:
        return f"a request that breaks the document is taken ({reply.status})"
    answer = operation.answer(reply.status)
    if answer is None:
        return f"the status {reply.status} is not documented"
    return _body_problem(answer, reply, definitions)


def _body_problem(answer: Answer, reply: Reply, definitions: Definitions) -> str:
    if not answer.media or (reply.status == 204 and not reply.content):
        return ""
    media_type = reply.media_type.partition(";")[0].strip().lower()
    documented = {name.partition(";")[0].strip().lower(): media for name, media in answer.media.items()}
    media = documented.get(media_type) or documented.get(f"{media_type.partition('/')[0]}/*") or documented.get("*/*")
    if media is None:
        return f"the media type {media_type or '(none)'} is not documented for {reply.status}"
    if len(reply.content) > MAX_BODY or not is_json(media_type):
        return ""
    try:
        value = json.loads(reply.content)
    except (ValueError, RecursionError):
        return "the body is not JSON, though it says so"
    problem = Validation(definitions).misfit(value, media.schema)
    return "" if problem is None else f"the body does not fit its schema: {problem}"

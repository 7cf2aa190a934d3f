"""What was submitted, compared with what a test expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..app import TaskSystem
from ..core.codec import as_json
from ..core.request import TaskRequest
from ..core.task import Task
from ..declared import DeclaredTask
from ..ticket import Ticket

Submitted = TypeVar("Submitted", Task, TaskRequest)

PAGE = 1000
SHOWN = 20
"""Tasks that a message lists."""


async def assert_submitted(
    where: TaskSystem | Iterable[Ticket[Any]],
    task_type: str | DeclaredTask[..., Any],
    /,
    count: int | None = None,
    **payload: Any,
) -> list[Task]:
    """The stored tasks of this type whose payload has these values, oldest first. Other fields may have any value.

    Args:
        where: a running system, for all that it stores; or tickets, for their tasks.
        count: exactly how many there have to be; None: at least one.

    Raises:
        AssertionError: there are others; the message lists what was submitted.
        NotRunning: the system does not run.
    """
    return check_submitted(await _stored(where), task_type, count, payload)


def check_submitted(
    given: Sequence[Submitted],
    task_type: str | DeclaredTask[..., Any],
    count: int | None,
    payload: Mapping[str, Any],
) -> list[Submitted]:
    """Those of *given* that are meant; see `assert_submitted`."""
    name = task_type if isinstance(task_type, str) else task_type.task_type
    wanted = as_json(dict(payload))
    found = [one for one in given if one.task_type == name and _has(one.input_data, wanted)]
    if len(found) == count or (count is None and found):
        return found
    raise AssertionError("\n  ".join([_complaint(name, wanted, count, len(found)), *_listed(given)]))


async def _stored(where: TaskSystem | Iterable[Ticket[Any]]) -> list[Task]:
    if not isinstance(where, TaskSystem):
        return [await ticket.task() for ticket in where]
    found: list[Task] = []
    while page := await where.list(order="oldest", limit=PAGE, after=found[-1].task_id if found else None):
        found += page
    return found


def _has(data: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    kept = as_json(dict(data))
    return all(name in kept and kept[name] == value for name, value in wanted.items())


def _complaint(name: str, wanted: Mapping[str, Any], count: int | None, found: int) -> str:
    expected = "at least one task" if count is None else "1 task" if count == 1 else f"{count} tasks"
    return f"expected {expected} {_call(name, wanted)}, but {found} of those that were submitted are such:"


def _listed(given: Sequence[Submitted]) -> list[str]:
    lines = [_call(one.task_type, one.input_data) for one in given[:SHOWN]]
    if len(given) > SHOWN:
        lines.append(f"… and {len(given) - SHOWN} more")
    return lines or ["nothing was submitted"]


def _call(name: str, payload: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{field}={value!r:.60}' for field, value in payload.items())})"

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from actors.core.errors import InvalidOption
from actors.core.request import NewTask, TaskRequest
from actors.core.schedule import Defaults, requested_row

NOW = 1_700_000_000.0
DEFAULTS = Defaults("mail", "coroutine", "coroutine", 5, 3, 300.0, None)


def row(**wishes: Any) -> NewTask:
    return requested_row(DEFAULTS, TaskRequest("mail", **wishes), "{}", None, NOW, "drawn", 1, 60.0)


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"task_id": 5}, "task_id is 5; it should be the text of a UUID"),
        ({"task_id": ["x"]}, r"task_id is \['x'\]; it should be the text of a UUID"),
        ({"expires_at": datetime.max}, "expires is .*; it should be in the years 1970 to 9000, or None"),
        ({"run_at": datetime.max}, "run_at is .*; it should be in the years 1970 to 9000, or None"),
        ({"run_at": 5}, "run_at is 5; it should be a datetime"),
        ({"timeout_seconds": 1e12}, "timeout is 1.*; it should be at most 100 years"),
        ({"soft_timeout_seconds": 1e12}, "soft_timeout is 1.*; it should be at most 100 years"),
        ({"max_retries": 10**30}, "max_retries is 10*; it should be a whole number from 0 to 1000000"),
        ({"key": 5}, "key is 5; it should be text"),
        ({"lane": ["x"]}, "lane is .*; it should be text"),
        ({"priority": "high"}, "priority is 'high'; it should be a whole number"),
    ],
)
def test_a_wish_that_cannot_work_is_refused_in_one_line(wishes: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidOption, match=line) as caught:
        row(**wishes)
    assert "\n" not in str(caught.value)


def test_a_wish_at_the_edge_of_what_works_is_stored() -> None:
    last = datetime(9000, 12, 31, tzinfo=UTC)
    stored = row(max_retries=1_000_000, expires_at=last, task_id="0190A0B0-0000-7000-8000-00000000000A")
    assert (stored.max_retries, stored.expires_at) == (1_000_000, last.timestamp())
    assert stored.task_id == "0190a0b0-0000-7000-8000-00000000000a"


def test_a_declaration_has_no_more_retries_than_a_row_can_hold() -> None:
    with pytest.raises(InvalidOption, match="max_retries is 1000001; it should be a whole number from 0 to 1000000"):
        Defaults("mail", "coroutine", "coroutine", 5, 1_000_001, None, None)

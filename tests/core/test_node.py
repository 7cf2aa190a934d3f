from __future__ import annotations

import pytest

from actors.core.node import NodeInfo
from actors.core.task import moment


def node(text: str | None, now: float = 20.0) -> NodeInfo:
    return NodeInfo.of("host:1:ab", 10.0, 12.0, 27.0, text, working=True, now=now)


def test_a_node_says_when_it_was_described_and_what_it_said() -> None:
    found = node('{"at": 11.5, "version": "0.1.0", "lanes": {}}')
    assert (found.described_at, found.snapshot) == (moment(11.5), {"version": "0.1.0", "lanes": {}})


def test_a_node_lives_until_its_lease_ends() -> None:
    assert [node(None, now).alive for now in (26.9, 27.0)] == [True, False]


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "7", '"at"', '{"at": "noon"}'])
def test_a_snapshot_of_another_version_is_no_error(text: str | None) -> None:
    assert node(text).described_at is None
    assert node(text).snapshot == {}

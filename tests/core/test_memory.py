"""The rule for a node that is short of memory."""

from __future__ import annotations

import pytest

from actors.core.memory import is_short


@pytest.mark.parametrize(
    ("used", "before", "idle", "short"),
    [
        (800, False, False, False),
        (801, False, False, True),
        (801, True, False, True),
        (760, True, False, True),  # between the two marks it stays as it was
        (760, False, False, False),
        (750, True, False, False),
        (760, True, True, False),  # nothing runs whose end could free more
        (801, True, True, True),
        (5000, False, True, True),
    ],
)
def test_claims_pause_above_80_percent_and_go_on_below_75(used: float, before: bool, idle: bool, short: bool) -> None:
    assert is_short(used, 1000, before=before, idle=idle) is short

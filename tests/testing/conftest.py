"""Fixtures: a system in memory."""

from __future__ import annotations

import pytest

from actors import Settings, TaskSystem


@pytest.fixture
def app() -> TaskSystem:
    """Not yet running."""
    return TaskSystem("sqlite:///:memory:", settings=Settings(max_io_workers=2))

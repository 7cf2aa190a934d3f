"""Fixtures: a task system in memory, and what ends its threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from actors import Settings, TaskSystem


@pytest.fixture
def settings() -> Settings:
    """Small lanes beside the modes' own, whatever the environment says."""
    return Settings(max_io_workers=2, lanes={"single": 1, "double": 2}, grace_seconds=10.0)


@pytest.fixture
def app(settings: Settings) -> TaskSystem:
    """A task system in memory, not yet running."""
    return TaskSystem("sqlite:///:memory:", settings=settings)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What stubborn threads wait for; set at the end, so that none is left behind."""
    event = threading.Event()
    yield event
    event.set()

"""Fixtures: a task system in memory, and files for those that need to outlive one."""

from __future__ import annotations

from pathlib import Path

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
def file_url(tmp_path: Path) -> str:
    """The URL of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'tasks.db'}"

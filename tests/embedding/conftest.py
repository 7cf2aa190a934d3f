"""Fixtures: an example that runs, on a database of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.embedding.service import Service, serving

Start = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def start(file_url: str, tmp_path: Path) -> Start:
    """`start("tcp_service.py")` serves while its block runs; tasks get 1 s of grace unless it says otherwise."""

    def start(*command: str, grace: float = 1.0) -> AbstractAsyncContextManager[Service]:
        return serving(
            command, DATABASE_URL=file_url, OUTBOX=str(tmp_path / "outbox.txt"), TASK_GRACE_SECONDS=str(grace)
        )

    return start

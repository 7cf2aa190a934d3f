"""Fixtures for pytest with pytest-trio. Importing this costs neither trio nor SQLAlchemy."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from actors import TaskSystem


@pytest.fixture
def task_system() -> TaskSystem:
    """The system under test: a new one, in memory. Override it in `conftest.py` to return yours."""
    from actors import TaskSystem

    return TaskSystem("sqlite:///:memory:")


@pytest.fixture
async def running_system(task_system: TaskSystem) -> AsyncIterator[TaskSystem]:
    """`task_system`, running on a new database in memory; the whole test passes in virtual time."""
    async with task_system.running(database_url="sqlite:///:memory:"):
        yield task_system


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Have trio run the tests that use `running_system` with a clock that jumps.

    pytest-trio takes clocks from a test's own arguments alone, not from its fixtures'; but a mark may name the function
    that runs the test.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "running_system" in item.fixturenames:
            _run_in_virtual_time(item)


def _run_in_virtual_time(item: pytest.Function) -> None:
    from .virtual import run_virtually

    if inspect.iscoroutinefunction(item.obj):
        item.add_marker(pytest.mark.trio(run=run_virtually), append=False)

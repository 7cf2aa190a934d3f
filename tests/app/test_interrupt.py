"""Ctrl-C, in a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors import Settings, TaskStatus, TaskSystem

SERVICE = Path(__file__).with_name("interrupted.py")


@pytest.fixture
def service(file_url: str) -> Iterator[subprocess.Popen[str]]:
    """The service in a process of its own, killed in the end if it is still there."""
    with subprocess.Popen(
        [sys.executable, str(SERVICE), file_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_a_second_interrupt_ends_the_grace_time_and_loses_nothing(
    service: subprocess.Popen[str], file_url: str
) -> None:
    first, second = line(service), line(service)
    task_id = first if second == "running" else second
    service.send_signal(signal.SIGINT)
    assert line(service) == "stopping: SHUTDOWN"
    service.send_signal(signal.SIGINT)
    begin = trio.current_time()
    _, errors = service.communicate(timeout=10)
    assert trio.current_time() - begin < 5 + 1
    assert "KeyboardInterrupt" in errors
    assert service.returncode != 0
    app = TaskSystem(file_url, settings=Settings())
    async with app.running(work=False):
        task = await app.get(task_id)
    assert task is not None
    assert (task.status, task.retry_count, task.attempt) == (TaskStatus.PENDING, 0, 1)

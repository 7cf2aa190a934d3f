"""A plain trio TCP server with a task system in it, over raw sockets."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from actors import TaskStatus
from tests.embedding.conftest import Start
from tests.embedding.service import Service, eventually, stored

EXAMPLE = "tcp_service.py"
S = TaskStatus


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[trio.SocketStream]:
    """A connection to *service*."""
    async with await trio.open_tcp_stream("127.0.0.1", service.port) as stream:
        yield stream


async def answers(stream: trio.SocketStream, count: int) -> list[str]:
    """The next *count* lines."""
    received = b""
    with trio.fail_after(15):
        while received.count(b"\n") < count:
            received += await stream.receive_some() or b"<closed>\n"
    return received.decode().splitlines()


async def all_done(url: str, ids: Sequence[str]) -> None:
    """Wait until the tasks are completed."""

    async def done() -> bool:
        return [task.task_id for task in await stored(url) if task.status is S.COMPLETED] == list(ids)

    await eventually(done)


async def test_each_line_becomes_a_task(start: Start, file_url: str) -> None:
    async with start(EXAMPLE) as service, connected(service) as stream:
        await stream.send_all("one\ntwé".encode()[:-1])
        await stream.send_all("é".encode()[-1:] + b"\nthree\nunfinished")
        ids = await answers(stream, 3)
        await all_done(file_url, ids)
        assert [task.result_data for task in await stored(file_url)] == [3, 3, 5]
        assert await service.interrupt() == 0


async def test_a_line_that_cannot_be_ends_its_connection_and_no_other(start: Start, file_url: str) -> None:
    async with start(EXAMPLE) as service, connected(service) as stream:
        for nonsense in (b"x" * 70_000, b"\xff\n"):
            async with connected(service) as bad:
                await bad.send_all(nonsense)
                with trio.fail_after(15), suppress(trio.BrokenResourceError):  # reset, with much of it unread
                    assert await bad.receive_some() == b""
        await stream.send_all(b"fine\n")
        assert len((await answers(stream, 1))[0]) == 36
    assert [task.input_data for task in await stored(file_url)] == [{"line": "fine"}]


async def test_ctrl_c_lets_what_runs_finish(start: Start, file_url: str) -> None:
    async with start(EXAMPLE, grace=10) as service, connected(service) as stream:
        await stream.send_all(b"one\ntwo\n")
        ids = await answers(stream, 2)
        service.process.send_signal(signal.SIGTERM)
        assert await service.ended() == 0
        assert "Traceback" not in service.said
    assert [(task.task_id, task.status) for task in await stored(file_url)] == [
        (task_id, S.COMPLETED) for task_id in ids
    ]


async def test_kill_9_loses_no_line_that_was_answered(start: Start, file_url: str) -> None:
    async with start(EXAMPLE) as service, connected(service) as stream:
        await stream.send_all(b"".join(b"line %d\n" % number for number in range(20)))
        ids = await answers(stream, 20)
        await service.kill()
    assert S.COMPLETED not in {task.status for task in await stored(file_url)}
    async with start(EXAMPLE):
        await all_done(file_url, ids)

"""Several nodes on one PostgreSQL server, in one process, and who listens there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import trio
from sqlalchemy.engine import make_url

from actors import Handlers, Settings, TaskContext, TaskRequest, TaskSystem
from actors.store.notify import CHANNEL
from tests.waiting import until

SESSIONS = f"FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN {CHANNEL}'"


class Crew:
    """Nodes, and the handlers that all of them know.

    Attributes:
        started: the names that `hold` was called with.
        release: lets every `hold` end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.handlers = Handlers()
        self.started: list[str] = []
        self.release = trio.Event()

        @self.handlers.task
        async def greet(name: str) -> str:
            return f"hello {name}"

        @self.handlers.task(lane="single", timeout=None, soft_timeout=None)
        async def hold(context: TaskContext, name: str) -> str:
            self.started.append(name)
            context.progress(0.5, name)
            with context.until_stopping():
                await self.release.wait()
            return name

    @asynccontextmanager
    async def node(self, *, work: bool = True, notifications: bool = True) -> AsyncIterator[TaskSystem]:
        """A node; one that works has one slot for `hold`, and hears what others tell."""
        settings = Settings(lanes={"single": 1}, grace_seconds=5.0, notifications=notifications)
        app = TaskSystem(self.url, settings=settings)
        app.include(self.handlers)
        async with app.running(work=work):
            if work and notifications:
                await hearing(app)
            yield app

    def running(self, *names: str) -> bool:
        """Whether the `hold`s of just these names have started, in whatever order."""
        return sorted(self.started) == sorted(names)


def greet(name: str = "you", **wishes: Any) -> TaskRequest:
    return TaskRequest("greet", {"name": name}, **wishes)


def hold(name: str = "a", **wishes: Any) -> TaskRequest:
    return TaskRequest("hold", {"name": name}, **wishes)


async def hearing(app: TaskSystem) -> None:
    """Wait until *app* hears what others tell."""
    await until(lambda: app.metrics().notifications is True)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A plain connection to the server, which commits each statement."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


def listeners(connection: psycopg.Connection[Any]) -> set[int]:
    """The processes of the server that serve a listener."""
    return {pid for (pid,) in connection.execute(f"SELECT pid {SESSIONS}")}


def cut_off(connection: psycopg.Connection[Any]) -> set[int]:
    """End the sessions of all listeners; the processes that served them."""
    gone = listeners(connection)
    assert gone
    connection.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS}")
    return gone

"""LISTEN and NOTIFY: how processes on one PostgreSQL server tell each other that there is something to look at."""

from __future__ import annotations

import select
from contextlib import ExitStack
from typing import Any, Final

from sqlalchemy import Connection, TwoPhaseTransaction, bindparam, func
from sqlalchemy import select as query

from .engine import make_engine
from .prepared import Prepared

CHANNEL: Final = "actors_news"
LISTEN: Final = f"LISTEN {CHANNEL}"

_notify = Prepared(lambda _: query(func.pg_notify(CHANNEL, bindparam("payload"))), ("payload",))


def notify(connection: Connection, payload: str) -> None:
    """Have *payload* told to all who listen, when the transaction commits."""
    _notify.put_off(connection, (payload,))


def may_notify(connection: Connection) -> bool:
    """Whether the transaction can carry it: on PostgreSQL, unless it is to be committed in two phases."""
    two_phases = isinstance(connection.get_transaction(), TwoPhaseTransaction)
    return connection.dialect.name == "postgresql" and not two_phases


class Ear:
    """A connection that listens, and does nothing else. It belongs to one thread.

    Raises:
        sqlalchemy.exc.DBAPIError: the server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        engine = make_engine(url)
        with ExitStack() as stack:
            stack.callback(engine.dispose)
            connection = stack.enter_context(engine.connect())
            stack.callback(connection.invalidate)  # closed at once, whatever state it is in
            driver: Any = connection.connection.driver_connection
            driver.execute(LISTEN)
            self._driver = driver.pgconn
            self._stack = stack.pop_all()

    def hear(self, other: int, seconds: float) -> list[str]:
        """The payloads that have come; waits for some, up to *seconds*, or until the descriptor *other* is readable.

        Raises:
            Exception: the connection is lost.
        """
        ready = select.poll()  # select() takes no descriptor above 1023
        for descriptor in (self._driver.socket, other):
            ready.register(descriptor, select.POLLIN)
        ready.poll(seconds * 1000)
        self._driver.consume_input()
        heard = []
        while (notification := self._driver.notifies()) is not None:
            heard.append(notification.extra.decode(errors="replace"))
        return heard

    def close(self) -> None:
        """Let go of the connection."""
        self._stack.close()

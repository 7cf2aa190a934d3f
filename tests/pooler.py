"""Poolers in front of a PostgreSQL server: one that gives each client a session, and one for each transaction."""

from __future__ import annotations

import queue
import re
import select
import socket
import struct
import threading
from contextlib import suppress
from typing import Final

import attrs

from tests.relay import READY, Front, Line, Relay, Wire, shut

KEY: Final = re.compile(rb"K\x00\x00\x00\x0c.{8}", re.DOTALL)
"""The server's word of its process and its secret, as it greets."""
MADE_UP: Final = b"K\x00\x00\x00\x0c\x7f\xff\xff\xff\x12\x34\x56\x78"
ENCRYPT: Final = (80877103, 80877104)
"""What a client says to be encrypted, by TLS or GSSAPI."""


class Pooler(Relay):
    """In session mode, so that nothing shows but that the process number is the pooler's own."""

    def from_server(self, line: Line, data: bytes) -> bytes:
        return KEY.sub(MADE_UP, data, count=1)


class PoolersWire(Wire):
    """A network that loses commits, with such a pooler behind it."""

    def from_server(self, line: Line, data: bytes) -> bytes:
        return KEY.sub(MADE_UP, super().from_server(line, data), count=1)


@attrs.frozen(eq=False)
class _Session:
    """One of the server's, and what it said as it greeted."""

    server: socket.socket
    greeting: bytes


class TransactionPooler(Front):
    """A few sessions for all, in turn: each is a client's from the first word of a transaction to the last.

    Only for servers that ask for no password, and for clients that do not send statements ahead.

    Args:
        sessions: how many.

    Attributes:
        changes: how often a client has got another session than the one before.
    """

    def __init__(self, url: str, sessions: int = 4) -> None:
        super().__init__(url)
        self.changes = 0
        self._may_open = sessions
        self._idle: queue.SimpleQueue[_Session] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            startup = _startup(client)
            session = self._take(startup)
            self._idle.put(session)
            client.sendall(KEY.sub(MADE_UP, session.greeting))
            while (first := _message(client))[:1] != b"X":
                before, session = session, self._take(startup)
                self.changes += session is not before
                self._serve_transaction(client, session, first)
        shut(client)

    def _take(self, startup: bytes) -> _Session:
        with self._lock:
            opens, self._may_open = self._may_open > 0, max(0, self._may_open - 1)
        return self._open(startup) if opens else self._idle.get(timeout=30)

    def _open(self, startup: bytes) -> _Session:
        server, greeting = self.server(), b""
        server.sendall(startup)
        while (message := _message(server))[:1] != b"Z":
            greeting += message
        return _Session(server, greeting + message)

    def _serve_transaction(self, client: socket.socket, session: _Session, first: bytes) -> None:
        try:
            _transaction(client, session.server, first)
        except OSError:  # what a client leaves behind in mid-transaction is nobody else's
            shut(session.server)
            with self._lock:
                self._may_open += 1
            raise
        self._idle.put(session)


def _transaction(client: socket.socket, server: socket.socket, first: bytes) -> None:
    """Pass on what they say to each other, until the server is ready for another transaction."""
    server.sendall(first)
    asked = int(first[:1] in b"QS")
    while True:
        readable, _, _ = select.select([server, client], [], [])
        if server in readable:
            message = _message(server)
            client.sendall(message)
            asked -= message[:1] == b"Z"
            if not asked and message == READY:
                return
        else:
            message = _message(client)
            server.sendall(message)
            asked += message[:1] in b"QS"


def _startup(client: socket.socket) -> bytes:
    """A client's first word, in the clear."""
    while True:
        length = _exactly(client, 4)
        rest = _exactly(client, struct.unpack("!I", length)[0] - 4)
        if struct.unpack("!I", rest[:4])[0] not in ENCRYPT:
            return length + rest
        client.sendall(b"N")


def _message(source: socket.socket) -> bytes:
    """One message, whole."""
    head = _exactly(source, 5)
    return head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := source.recv(count - len(data))):
            raise ConnectionResetError
        data += more
    return data

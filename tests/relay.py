"""What stands between clients and a PostgreSQL server, and passes on what they say, or not all of it."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

import attrs
from sqlalchemy.engine import make_url

COMMIT: Final = b"COMMIT\x00"
"""The end of what a client says to commit, with or without statements before it."""
READY: Final = b"Z\x00\x00\x00\x05I"
"""How a server says that it has done all that it was told, and that no transaction is open."""

Lost = Literal["commit", "client", "answer"]


class Front(ABC):
    """Listens on a Unix socket of its own while the block runs, with a thread for each client.

    Attributes:
        url: of the database of *url*, by way of this.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._folder = tempfile.TemporaryDirectory(prefix="relay-")  # a socket's path has to be short
        self._host, self._port = str(parsed.query.get("host") or parsed.host), parsed.port or 5432
        self._name = f".s.PGSQL.{self._port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        query = {**parsed.query, "host": self._folder.name}
        self.url = parsed.set(query=query).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self._listener.bind(f"{self._folder.name}/{self._name}")
        self._listener.listen()
        self.begin(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        shut(self._listener)  # or accept() would wait on
        self._threads[0].join()
        shut(*self._sockets)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._sockets):
            one.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self.begin(self.serve, client)

    def begin(self, work: Callable[..., object], *values: object) -> None:
        """Have *work* done in a thread."""
        self._threads.append(threading.Thread(target=work, args=values, daemon=True))
        self._threads[-1].start()

    def server(self) -> socket.socket:
        """A new connection to the server; one that is closed, if that is away."""
        local = self._host.startswith("/")
        found = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        self._sockets.append(found)
        with suppress(OSError):
            found.connect(f"{self._host}/{self._name}" if local else (self._host, self._port))
        return found

    @abstractmethod
    def serve(self, client: socket.socket) -> None:
        """What is done for a client."""


def shut(*ends: socket.socket) -> None:
    """End connections, whoever reads from them or writes to them now."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@attrs.define(eq=False)
class Line:
    """A client's connection, and the one to the server that belongs to it.

    Attributes:
        transaction: what the client has said since its last commit.
        swallows: what the server answers does not come through, and the line ends when it has answered.
    """

    client: socket.socket
    server: socket.socket
    transaction: bytes = b""
    swallows: bool = False

    def cut(self) -> None:
        """End it on both sides."""
        shut(self.client, self.server)


class Relay(Front):
    """Passes on everything, as its methods give it back."""

    def serve(self, client: socket.socket) -> None:
        line = Line(client, self.server())
        self.begin(self._pass_on, line, line.server, client, self.from_server)
        self._pass_on(line, client, line.server, self.from_client)

    def _pass_on(
        self, line: Line, source: socket.socket, target: socket.socket, heard: Callable[[Line, bytes], bytes]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(heard(line, data))
        line.cut()

    def from_client(self, line: Line, data: bytes) -> bytes:
        """What the server gets of *data*."""
        return data

    def from_server(self, line: Line, data: bytes) -> bytes:
        """What the client gets of *data*."""
        return data


class Wire(Relay):
    """A network that loses commits, or their answers, and that can stand still.

    Attributes:
        cuts: how many of them it has lost.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.cuts = 0
        self._what: re.Pattern[bytes] | None = None
        self._lost: Lost = "commit"
        self._flows = threading.Event()
        self._flows.set()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flow()
        super().__exit__(kind, error, at)

    def lose(self, lost: Lost, what: re.Pattern[bytes]) -> None:
        """Cut the next connection on which a transaction commits that has said *what*: before the server gets to know
        of the commit, when it has been told of it, or when it has committed and says so."""
        self._lost, self._what = lost, what

    def stand_still(self) -> None:
        """Pass nothing on until `flow`, and lose nothing."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what has waited, and all that comes."""
        self._flows.set()

    def from_client(self, line: Line, data: bytes) -> bytes:
        self._flows.wait()
        line.transaction += data
        if not data.endswith(COMMIT):
            return data
        said, line.transaction = line.transaction, b""
        if self._what is None or not self._what.search(said):
            return data
        self._what = None
        self.cuts += 1
        if self._lost == "answer":
            line.swallows = True
            return data
        if self._lost == "client":
            line.server.sendall(data)
        line.cut()
        return b""

    def from_server(self, line: Line, data: bytes) -> bytes:
        self._flows.wait()
        if not line.swallows:
            return data
        if data.endswith(READY):
            line.cut()
        return b""
